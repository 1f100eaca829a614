import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.zeromq.ZMQ;
import org.zeromq.ZMQException;
import zmq.ZError;

/**
 * MatrixParty TYPE listen|dial ENDPOINT [OPTION VALUE]...
 *
 * <p>One side of any conversation between two ZeroMQ sockets, for the matrix test, with the same
 * words in every language. This version of JeroMQ has no security and no Unix sockets.
 *
 * <pre>
 *   TYPE: req rep dealer router pub sub xpub xsub push pull pair
 *   count N      messages; then it prints "done", and leaves when its input ends
 *   sizes A,B    bytes of a part; parts P: parts in a message; seed S
 *   answer yes   dealer and pair: return what comes, as rep and router do
 *   to ID        router: ask that peer rather than answer
 *   delimiter yes   dealer, router: an empty part before each message
 *   identity ID, topic T
 * </pre>
 *
 * <p>Part p of message i has sizes[(i+p) mod n] bytes, the k-th of which is (seed + 31i + 7p + k)
 * mod 251. Who asks or receives checks every byte of every message, in order. A pub sends TOPIC?
 * again and again until its input says that a subscriber has seen one.
 */
public final class MatrixParty {
  private static final int PERIOD = 251;
  private static final int PROBE_MS = 20;
  private static final int LINGER_MS = 10000;

  /** Their order is that of ZMQ.PAIR and so on. */
  private static final List<String> TYPES =
      List.of(
          "pair", "pub", "sub", "req", "rep", "dealer", "router", "pull", "push", "xpub", "xsub");

  private final ZMQ.Socket socket;
  private final int type;
  private final int count;
  private final int parts;
  private final int seed;
  private final int[] sizes;
  private final byte[] to;
  private final byte[] topic;
  private final boolean delimiter;
  private final boolean answers;
  private final byte[] pattern;

  private MatrixParty(ZMQ.Socket socket, Map<String, String> options) {
    this.socket = socket;
    type = socket.getType();
    count = Integer.parseInt(options.getOrDefault("count", "1"));
    parts = Integer.parseInt(options.getOrDefault("parts", "1"));
    seed = Integer.parseInt(options.getOrDefault("seed", "0"));
    sizes =
        Arrays.stream(options.getOrDefault("sizes", "5").split(","))
            .mapToInt(Integer::parseInt)
            .toArray();
    to = bytes(options.getOrDefault("to", ""));
    topic = bytes(options.getOrDefault("topic", ""));
    delimiter = options.containsKey("delimiter");
    answers =
        type == ZMQ.REP
            || (type == ZMQ.ROUTER && to.length == 0)
            || options.containsKey("answer");
    pattern = new byte[Arrays.stream(sizes).max().getAsInt() + PERIOD];
    for (int k = 0; k < pattern.length; k++) {
      pattern[k] = (byte) (k % PERIOD);
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] join(byte[] a, byte[] b) {
    byte[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  /** Returns the parts of message i as they go into the socket, and come out of it. */
  private List<byte[]> message(int i) {
    List<byte[]> message = new ArrayList<>();
    if (to.length > 0) {
      message.add(to);
    }
    if (delimiter) {
      message.add(new byte[0]);
    }
    for (int p = 0; p < parts; p++) {
      int start = (seed + 31 * i + 7 * p) % PERIOD;
      byte[] part = Arrays.copyOfRange(pattern, start, start + sizes[(i + p) % sizes.length]);
      message.add(p == 0 ? join(topic, part) : part);
    }
    return message;
  }

  private void send(List<byte[]> message) throws InterruptedException {
    for (int p = 0; p < message.size(); p++) {
      int flags = p + 1 < message.size() ? ZMQ.SNDMORE : 0;
      while (!sent(message.get(p), flags)) {
        Thread.sleep(PROBE_MS); // a router knows no way to that peer yet
      }
    }
  }

  private boolean sent(byte[] part, int flags) {
    try {
      return socket.send(part, flags);
    } catch (ZMQException e) {
      if (e.getErrorCode() != ZError.EHOSTUNREACH) {
        throw e;
      }
      return false;
    }
  }

  private List<byte[]> receive() {
    List<byte[]> message = new ArrayList<>();
    do {
      message.add(socket.recv());
    } while (socket.hasReceiveMore());
    return message;
  }

  private void check(int i, List<byte[]> got) {
    if (!Arrays.deepEquals(got.toArray(), message(i).toArray())) {
      int[] lengths = got.stream().mapToInt(part -> part.length).toArray();
      throw new IllegalStateException(
          "message " + i + ": lengths " + Arrays.toString(lengths) + ", or another content");
    }
  }

  private void sendAll() throws InterruptedException {
    for (int i = 0; i < count; i++) {
      if (topic.length > 0) {
        socket.send("~other"); // what nobody has subscribed to
      }
      send(message(i));
    }
  }

  private void receiveAll(boolean probes) {
    byte[] probe = join(topic, bytes("?"));
    for (int i = 0; i < count; ) {
      List<byte[]> got = receive();
      if (probes && got.size() == 1 && Arrays.equals(got.get(0), probe)) {
        if (i == 0) {
          System.out.println("subscribed");
        }
        continue;
      }
      check(i++, got);
    }
  }

  /** Sends every message and wants each back. A REQ takes turns. */
  private void ask() throws InterruptedException {
    for (int i = 0; i < count; i++) {
      send(message(i));
      if (type == ZMQ.REQ) {
        check(i, receive());
      }
    }
    if (type != ZMQ.REQ) {
      receiveAll(false);
    }
  }

  private void answer() throws InterruptedException {
    for (int i = 0; i < count; i++) {
      send(receive());
    }
  }

  private void probe() throws IOException, InterruptedException {
    do {
      socket.send(join(topic, bytes("?")));
      Thread.sleep(PROBE_MS);
    } while (System.in.available() == 0);
    while (System.in.read() != '\n') {
      // The rest of the line.
    }
  }

  private void converse() throws IOException, InterruptedException {
    byte[] subscription = join(new byte[] {1}, topic);
    switch (type) {
      case ZMQ.PUSH -> sendAll();
      case ZMQ.PUB -> {
        probe();
        sendAll();
      }
      case ZMQ.XPUB -> {
        if (!Arrays.equals(socket.recv(), subscription)) {
          throw new IllegalStateException("not the subscription");
        }
        sendAll();
      }
      case ZMQ.PULL -> receiveAll(false);
      case ZMQ.SUB -> {
        socket.subscribe(topic);
        receiveAll(true);
      }
      case ZMQ.XSUB -> {
        socket.send(subscription);
        receiveAll(true);
      }
      default -> {
        if (answers) {
          answer();
        } else {
          ask();
        }
      }
    }
  }

  public static void main(String[] args) throws IOException, InterruptedException {
    if (args.length < 3 || args.length % 2 == 0 || !TYPES.contains(args[0])) {
      System.err.println("usage: MatrixParty TYPE listen|dial ENDPOINT [OPTION VALUE]...");
      System.exit(2);
    }
    Map<String, String> options = new HashMap<>();
    for (int i = 3; i < args.length; i += 2) {
      options.put(args[i], args[i + 1]);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket socket = context.socket(TYPES.indexOf(args[0]))) {
      socket.setLinger(LINGER_MS);
      if (options.containsKey("identity")) {
        socket.setIdentity(bytes(options.get("identity")));
      }
      if (options.containsKey("to")) {
        socket.setRouterMandatory(true);
      }
      if (args[1].equals("listen")) {
        Endpoint.listen(socket, args[2]);
      } else {
        socket.connect(args[2]);
      }
      new MatrixParty(socket, options).converse();
      System.out.println("done");
      InputStream in = System.in;
      in.readAllBytes();
    } // the context waits until all is sent, LINGER_MS at most
  }
}
