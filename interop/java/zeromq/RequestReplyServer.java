import java.nio.charset.StandardCharsets;
import org.zeromq.ZMQ;

/**
 * RequestReplyServer ENDPOINT
 *
 * <p>Answers a request of integers in decimal, "1 2 3", by their sum, "6", and any other by a text
 * that begins with "error: ".
 */
public final class RequestReplyServer {
  public static void main(String[] args) {
    if (args.length != 1) {
      System.err.println("usage: RequestReplyServer ENDPOINT");
      System.exit(2);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket rep = context.socket(ZMQ.REP)) {
      Endpoint.listen(rep, args[0]);
      while (true) {
        String request = new String(rep.recv(), StandardCharsets.UTF_8);
        rep.send(answer(request).getBytes(StandardCharsets.UTF_8));
      }
    }
  }

  private static String answer(String request) {
    try {
      long sum = 0;
      for (String word : request.split(" ")) {
        if (!word.isEmpty()) {
          sum = Math.addExact(sum, Long.parseLong(word));
        }
      }
      return Long.toString(sum);
    } catch (NumberFormatException e) {
      return "error: not an integer of 64 bits: " + e.getMessage();
    } catch (ArithmeticException e) {
      return "error: too large";
    }
  }
}
