import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/**
 * IncrementServer [HOST PORT | PATH]
 *
 * <p>Answers each byte by that byte + 1, and 255 by 0. One thread serves one client, so that the
 * code of a client reads from top to bottom. Without an address it listens on the Unix socket
 * server_socket in the working folder.
 */
public final class IncrementServer {
  public static void main(String[] args) throws IOException, InterruptedException {
    if (args.length > 2) {
      System.err.println("usage: IncrementServer [HOST PORT | PATH]");
      System.exit(2);
    }
    try (ServerSocketChannel listener = listen(args)) {
      while (true) {
        try {
          SocketChannel client = listener.accept();
          new Thread(() -> serve(client)).start();
        } catch (IOException e) { // out of descriptors: breathe, then try again
          System.err.println("accept: " + e);
          Thread.sleep(100);
        }
      }
    }
  }

  private static ServerSocketChannel listen(String[] args) throws IOException {
    ServerSocketChannel listener;
    if (args.length == 2) {
      InetSocketAddress address = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
      listener = ServerSocketChannel.open().bind(address);
      System.out.println("listening on " + listener.socket().getLocalPort());
    } else {
      String path = args.length == 1 ? args[0] : "server_socket";
      UnixDomainSocketAddress address = UnixDomainSocketAddress.of(path);
      listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(address);
      address.getPath().toFile().deleteOnExit();
      System.out.println("listening on " + path);
    }
    return listener;
  }

  private static void serve(SocketChannel client) {
    try (client) {
      ByteBuffer data = ByteBuffer.allocate(4096);
      while (client.read(data) >= 0) {
        data.flip();
        for (int i = 0; i < data.limit(); i++) {
          data.put(i, (byte) (data.get(i) + 1)); // the cast wraps 255 to 0
        }
        while (data.hasRemaining()) {
          client.write(data);
        }
        data.clear();
      }
      client.shutdownOutput();
    } catch (IOException e) { // that client's fault, and no one else's
      System.err.println("a client: " + e);
    }
  }
}
