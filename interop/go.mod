module github.com/tincan-ipc/tincan/interop

go 1.26.0
