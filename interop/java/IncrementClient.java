import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/**
 * IncrementClient [HOST PORT | PATH]
 *
 * <p>The classic client: it sends the byte A, prints the byte that comes back, and closes. Without
 * an address it dials the Unix socket server_socket in the working folder.
 */
public final class IncrementClient {
  public static void main(String[] args) {
    if (args.length > 2) {
      System.err.println("usage: IncrementClient [HOST PORT | PATH]");
      System.exit(2);
    }
    try (SocketChannel server = SocketChannel.open(address(args))) {
      server.write(ByteBuffer.wrap(new byte[] {'A'}));
      ByteBuffer answer = ByteBuffer.allocate(1);
      if (server.read(answer) < 0) {
        throw new IOException("the server closed without an answer");
      }
      System.out.println("char from server = " + (char) (answer.get(0) & 0xff));
    } catch (IOException e) {
      System.err.println("IncrementClient: " + e);
      System.exit(1);
    }
  }

  private static SocketAddress address(String[] args) throws IOException {
    return switch (args.length) {
      case 0 -> UnixDomainSocketAddress.of("server_socket");
      case 1 -> UnixDomainSocketAddress.of(args[0]);
      default -> new InetSocketAddress(InetAddress.getByName(args[0]), Integer.parseInt(args[1]));
    };
  }
}
