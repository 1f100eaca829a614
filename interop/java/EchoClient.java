import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicLong;

/**
 * EchoClient HOST PORT | PATH
 *
 * <p>Sends its standard input to a server, half-closes, and prints what comes back until the server
 * closes too. One thread sends while the other receives: a client that sent everything first would
 * stop for ever as soon as the buffers between the two are full of echo that nobody reads.
 */
public final class EchoClient {
  private static final int CHUNK = 65536;

  /** The number of bytes that standard input had, or -1 while it goes on. */
  private static final AtomicLong sent = new AtomicLong(-1);

  public static void main(String[] args) {
    if (args.length != 1 && args.length != 2) {
      System.err.println("usage: EchoClient HOST PORT | PATH");
      System.exit(2);
    }
    try (SocketChannel server = SocketChannel.open(address(args))) {
      Thread sender = new Thread(() -> upload(server));
      sender.setDaemon(true); // if the server ends first, no one waits for more input
      sender.start();
      long received = download(server);
      if (received != sent.get()) {
        System.err.println("cut short: " + received + " bytes came back");
        System.exit(1);
      }
    } catch (IOException e) {
      System.err.println("EchoClient: " + e);
      System.exit(1);
    }
  }

  private static SocketAddress address(String[] args) throws IOException {
    return args.length == 1
        ? UnixDomainSocketAddress.of(args[0])
        : new InetSocketAddress(InetAddress.getByName(args[0]), Integer.parseInt(args[1]));
  }

  private static void upload(SocketChannel server) {
    byte[] chunk = new byte[CHUNK];
    long total = 0;
    try {
      for (int n; (n = System.in.read(chunk)) >= 0; total += n) {
        ByteBuffer data = ByteBuffer.wrap(chunk, 0, n);
        while (data.hasRemaining()) {
          server.write(data);
        }
      }
      sent.set(total); // first, as the server may end at once after the half-close
      server.shutdownOutput();
    } catch (IOException e) { // the main thread sees the server's end for itself
      System.err.println("send: " + e);
    }
  }

  private static long download(SocketChannel server) throws IOException {
    ByteBuffer data = ByteBuffer.allocate(CHUNK);
    long total = 0;
    for (int n; (n = server.read(data)) >= 0; total += n) {
      System.out.write(data.array(), 0, n);
      data.clear();
    }
    System.out.flush();
    if (System.out.checkError()) { // a PrintStream keeps its errors to itself
      throw new IOException("standard output failed");
    }
    return total;
  }
}
