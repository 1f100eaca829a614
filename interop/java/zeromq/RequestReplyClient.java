import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.zeromq.ZMQ;

/**
 * RequestReplyClient ENDPOINT INT...
 *
 * <p>Asks for the sum of integers and prints "Result: N". Exit 1 when the reply is an error, or when
 * none comes in 10 seconds.
 */
public final class RequestReplyClient {
  private static final int PATIENCE_MS = 10_000;

  public static void main(String[] args) {
    if (args.length < 2) {
      System.err.println("usage: RequestReplyClient ENDPOINT INT...");
      System.exit(2);
    }
    String request = String.join(" ", Arrays.asList(args).subList(1, args.length));
    String reply = "error: no reply";
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket req = context.socket(ZMQ.REQ)) {
      req.setReceiveTimeOut(PATIENCE_MS);
      req.setLinger(0);
      req.connect(args[0]);
      req.send(request.getBytes(StandardCharsets.UTF_8));
      byte[] got = req.recv();
      if (got != null) {
        reply = new String(got, StandardCharsets.UTF_8);
      }
    }
    if (reply.startsWith("error: ")) {
      System.err.println(reply);
      System.exit(1);
    }
    System.out.println("Result: " + reply);
  }
}
