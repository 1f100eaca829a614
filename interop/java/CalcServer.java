import java.io.IOException;
import java.math.BigInteger;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * CalcServer HOST PORT
 *
 * <p>The calculator over UDP (CalcClient shows the wire). One socket and one loop serve every
 * client, as each datagram is a whole request. A BigInteger has no upper end, so that the result is
 * exact; one that does not fit its form is an error.
 */
public final class CalcServer {
  private static final int MAX_INTEGERS = 64;
  private static final int MAX_PAYLOAD = 256;

  public static void main(String[] args) throws IOException {
    if (args.length != 2) {
      System.err.println("usage: CalcServer HOST PORT");
      System.exit(2);
    }
    InetSocketAddress address = new InetSocketAddress(args[0], Integer.parseInt(args[1]));
    try (DatagramSocket socket = new DatagramSocket(address)) { // "::" serves IPv4 too
      System.out.println("listening on " + socket.getLocalPort());
      byte[] buffer = new byte[65536];
      while (true) {
        DatagramPacket request = new DatagramPacket(buffer, buffer.length);
        try {
          socket.receive(request);
          if (request.getLength() > 0) { // one with no header byte gets no answer
            byte[] reply = answer(ByteBuffer.wrap(buffer, 0, request.getLength()));
            socket.send(new DatagramPacket(reply, reply.length, request.getSocketAddress()));
          }
        } catch (IOException e) { // of that one client, which will ask again
          System.err.println("a client: " + e);
        }
      }
    }
  }

  private static byte[] answer(ByteBuffer request) {
    try {
      return reply(0x80, calculate(request));
    } catch (IllegalArgumentException refusal) {
      return reply(0, refusal.getMessage().getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static byte[] reply(int header, byte[] payload) {
    return ByteBuffer.allocate(1 + payload.length).put((byte) header).put(payload).array();
  }

  /** Returns the result; an IllegalArgumentException has the reason of an error reply. */
  private static byte[] calculate(ByteBuffer request) {
    byte header = request.get();
    int opcode = header >> 1 & 7;
    boolean asString = (header & 1) != 0;
    if (opcode > 1) {
      throw new IllegalArgumentException("unknown operation");
    }
    if (!request.hasRemaining()) {
      throw new IllegalArgumentException("no integers");
    }
    if (request.remaining() > 4 * MAX_INTEGERS) {
      throw new IllegalArgumentException("more than 64 integers");
    }
    if (request.remaining() % 4 != 0) {
      throw new IllegalArgumentException("length is not 1 + 4n");
    }

    BigInteger result = BigInteger.valueOf(opcode); // 0 for a sum, 1 for a product
    while (request.hasRemaining()) {
      BigInteger v = BigInteger.valueOf(Integer.toUnsignedLong(request.getInt()));
      result = opcode == 0 ? result.add(v) : result.multiply(v);
    }

    if (asString) {
      byte[] text = result.toString().getBytes(StandardCharsets.US_ASCII);
      if (text.length > MAX_PAYLOAD) {
        throw new IllegalArgumentException("result has more than 256 digits");
      }
      return text;
    }
    if (result.bitLength() > 32) {
      throw new IllegalArgumentException("result does not fit 32 bits");
    }
    return ByteBuffer.allocate(4).putInt(result.intValue()).array();
  }
}
