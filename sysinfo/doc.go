// Package sysinfo publishes management information of this host, and of chosen processes, as a state that any
// number of programs can follow: see package state.
//
// A [Collector] looks every second, or as often as it is told, and sets the keys that have changed. Values are rounded, and
// those that waver are told only once they have moved by as much as the table says, so that a host with nothing to do says
// next to nothing. Keys keep their names and meanings. What a system doesn't have, has no key.
//
//	key                                  value; and by how much it moves before it is told again
//	host.name                            its name
//	host.os                              linux, darwin, windows, freebsd ...
//	host.platform                        the distribution or product, and its version
//	host.kernel, host.arch               the kernel's version, and its architecture
//	host.boot                            when it started, RFC 3339
//	host.uptime                          seconds since then, in whole minutes
//	cpu.percent                          busy, of all CPUs together; 2
//	cpu.N.percent                        of CPU N, from 0; 2
//	cpu.load1, cpu.load5, cpu.load15     processes that run or wait, averaged over minutes; 0.05 (not on Windows)
//	mem.total                            bytes
//	mem.used, mem.available              bytes, in whole MiB; a thousandth of the total
//	swap.total, swap.used                bytes; as of mem
//	disk.PATH.total                      bytes of the file system that is mounted at PATH
//	disk.PATH.used, disk.PATH.free       bytes, in whole MiB; 1 MiB
//	io.DEVICE.read, io.DEVICE.written    bytes since the host started, of devices that were used
//	net.NAME.received, net.NAME.sent     bytes of a network interface; 1 KiB
//	net.NAME.errors, net.NAME.dropped    packets, both ways together
//	tcp.established                      connections now (Linux)
//	tcp.accepted, tcp.opened             connections since the host started (Linux)
//	temp.SENSOR                          degrees Celsius; 2
//	proc.PID.name                        of a chosen process: the file name of its program
//	proc.PID.started                     when, RFC 3339
//	proc.PID.cpu                         percent of one CPU; 2
//	proc.PID.memory                      bytes that are in memory; 256 KiB
//	proc.PID.threads                     how many
//	proc.PID.descriptors                 open ones, of Windows handles
//	proc.PID.files                       of these, files and devices (Linux)
//	proc.PID.sockets                     of these, sockets
//
// Percentages come with the second look, as they are of the time between two. File systems and temperatures are looked
// at every 5 seconds at most, and the descriptors of a process with thousands less often than its other values.
package sysinfo
