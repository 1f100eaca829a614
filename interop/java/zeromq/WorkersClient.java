import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.zeromq.ZMQ;

/**
 * WorkersClient FRONT
 *
 * <p>Sends each line of its input to a queue of workers and prints the reply, then goes on with the
 * next. Exit 1 when no reply comes in 10 seconds.
 */
public final class WorkersClient {
  private static final int PATIENCE_MS = 10_000;

  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      System.err.println("usage: WorkersClient FRONT");
      System.exit(2);
    }
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket req = context.socket(ZMQ.REQ)) {
      req.setReceiveTimeOut(PATIENCE_MS);
      req.setLinger(0); // at the end a request without an answer is not worth a wait
      req.connect(args[0]);
      for (String line; (line = in.readLine()) != null; ) {
        req.send(line.getBytes(StandardCharsets.UTF_8));
        byte[] reply = req.recv();
        if (reply == null) {
          System.err.println("no reply");
          System.exit(1);
        }
        System.out.println(new String(reply, StandardCharsets.UTF_8));
      }
    }
  }
}
