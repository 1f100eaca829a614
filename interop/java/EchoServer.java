import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/**
 * EchoServer HOST PORT | PATH
 *
 * <p>Sends every byte back, in order, to any number of clients, in one thread: a selector tells
 * which of them can be read or written. Each has one buffer and is read only while that is empty,
 * so that a client which does not read its echo stops being read, and holds up nobody else.
 */
public final class EchoServer {
  private static final int REST_MS = 100;

  public static void main(String[] args) throws IOException {
    if (args.length != 1 && args.length != 2) {
      System.err.println("usage: EchoServer HOST PORT | PATH");
      System.exit(2);
    }
    try (ServerSocketChannel listener = listen(args);
        Selector selector = Selector.open()) {
      listener.configureBlocking(false);
      SelectionKey accepting = listener.register(selector, SelectionKey.OP_ACCEPT);
      while (true) {
        boolean resting = accepting.interestOps() == 0;
        selector.select(
            key -> {
              if (key == accepting) {
                admit(key);
              } else {
                serve(key);
              }
            },
            resting ? REST_MS : 0);
        if (resting) {
          accepting.interestOps(SelectionKey.OP_ACCEPT);
        }
      }
    }
  }

  private static ServerSocketChannel listen(String[] args) throws IOException {
    ServerSocketChannel listener;
    if (args.length == 1) {
      UnixDomainSocketAddress address = UnixDomainSocketAddress.of(args[0]);
      listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(address);
      address.getPath().toFile().deleteOnExit();
      System.out.println("listening on " + args[0]);
    } else {
      InetSocketAddress address = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
      listener = ServerSocketChannel.open().bind(address);
      System.out.println("listening on " + listener.socket().getLocalPort());
    }
    return listener;
  }

  /**
   * Takes one new client. Out of descriptors, the listener rests for a while: to ask again at once
   * would only burn the CPU.
   */
  private static void admit(SelectionKey accepting) {
    try {
      SocketChannel client = ((ServerSocketChannel) accepting.channel()).accept();
      if (client == null) { // it left before we came to it
        return;
      }
      client.configureBlocking(false);
      client.register(accepting.selector(), SelectionKey.OP_READ, ByteBuffer.allocate(16384));
    } catch (IOException e) {
      System.err.println("accept: " + e);
      accepting.interestOps(0);
    }
  }

  /** Takes one step with one client. Its buffer holds what waits, from 0 to the position. */
  private static void serve(SelectionKey key) {
    SocketChannel client = (SocketChannel) key.channel();
    ByteBuffer waiting = (ByteBuffer) key.attachment();
    try {
      if (waiting.position() == 0 && client.read(waiting) < 0) {
        client.shutdownOutput(); // all its echo is sent
        client.close();
        return;
      }
      waiting.flip();
      client.write(waiting); // as much as the socket takes now
      waiting.compact();
      key.interestOps(waiting.position() == 0 ? SelectionKey.OP_READ : SelectionKey.OP_WRITE);
    } catch (IOException e) { // that client's fault, and no one else's
      System.err.println("a client: " + e);
      try {
        client.close();
      } catch (IOException ignored) {
        // It is gone already.
      }
    }
  }
}
