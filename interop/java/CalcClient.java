import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * CalcClient [-s] + | '*' HOST PORT INT...
 *
 * <p>Asks a calculator for the sum or product of 1 to 64 integers. A request is
 *
 * <pre>
 *   bits 7..4 unused | bits 3..1 opcode | bit 0 format
 *   the integers, 32 bits each, big-endian
 * </pre>
 *
 * and a reply one byte whose highest bit says success, then the result: 32 bits big-endian, or with
 * -s ASCII digits. A datagram may be lost, so the client asks again when no reply comes: asking
 * twice changes nothing.
 */
public final class CalcClient {
  private static final List<String> OPERATIONS = List.of("+", "*"); // by opcode
  private static final int MAX_INTEGERS = 64;
  private static final int TRIES = 5;
  private static final int WAIT_MS = 500;

  public static void main(String[] args) {
    boolean asString = args.length > 0 && args[0].equals("-s");
    List<String> words = List.of(args).subList(asString ? 1 : 0, args.length);
    if (words.size() < 4 || words.size() > 3 + MAX_INTEGERS || !OPERATIONS.contains(words.get(0))) {
      fail(2, "usage: CalcClient [-s] + | '*' HOST PORT INT... (1 to 64)");
    }
    int opcode = OPERATIONS.indexOf(words.get(0));
    ByteBuffer request = ByteBuffer.allocate(1 + 4 * MAX_INTEGERS); // big-endian, as Java is
    request.put((byte) (opcode << 1 | (asString ? 1 : 0)));
    for (String word : words.subList(3, words.size())) {
      if (!word.matches("[0-9]{1,10}") || Long.parseLong(word) > 0xffffffffL) {
        fail(2, word + ": not an integer in 0..4294967295");
      }
      request.putInt((int) Long.parseLong(word));
    }
    try {
      InetSocketAddress server =
          new InetSocketAddress(words.get(1), Integer.parseInt(words.get(2)));
      show(ask(server, request.flip()), asString);
    } catch (IOException e) {
      fail(1, "CalcClient: " + e);
    }
  }

  /** Sends request until a reply comes, and returns the reply. */
  private static ByteBuffer ask(InetSocketAddress server, ByteBuffer request) throws IOException {
    DatagramPacket out = new DatagramPacket(request.array(), request.limit());
    DatagramPacket in = new DatagramPacket(new byte[1 + 256], 1 + 256);
    try (DatagramSocket socket = new DatagramSocket()) {
      socket.connect(server); // so that a refused port is reported, and only the server heard
      socket.setSoTimeout(WAIT_MS);
      for (int i = 0; i < TRIES; i++) {
        socket.send(out);
        try {
          socket.receive(in);
          if (in.getLength() > 0) {
            return ByteBuffer.wrap(in.getData(), 0, in.getLength());
          }
        } catch (SocketTimeoutException e) {
          continue; // lost: ask again
        }
      }
    }
    throw new IOException("no reply");
  }

  private static void show(ByteBuffer reply, boolean asString) {
    boolean success = (reply.get() & 0x80) != 0;
    String text = StandardCharsets.US_ASCII.decode(reply.slice()).toString();
    if (!success) {
      fail(1, "the server says: " + text);
    } else if (asString) {
      System.out.println("Result: " + text);
    } else if (reply.remaining() == 4) {
      System.out.println("Result: " + Integer.toUnsignedString(reply.getInt()));
    } else {
      fail(1, "a result of " + reply.remaining() + " bytes, not 4");
    }
  }

  private static void fail(int status, String reason) {
    System.err.println(reason);
    System.exit(status);
  }
}
