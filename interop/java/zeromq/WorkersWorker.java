import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.zeromq.ZMQ;

/**
 * WorkersWorker BACK
 *
 * <p>Does the work that a queue hands out: puts a text in capitals. It prints what it has done, a
 * line each. Start as many as there is work for.
 */
public final class WorkersWorker {
  public static void main(String[] args) {
    if (args.length != 1) {
      System.err.println("usage: WorkersWorker BACK");
      System.exit(2);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket rep = context.socket(ZMQ.REP)) {
      rep.connect(args[0]);
      while (true) {
        String text = new String(rep.recv(), StandardCharsets.UTF_8).toUpperCase(Locale.ROOT);
        System.out.println(text);
        rep.send(text.getBytes(StandardCharsets.UTF_8));
      }
    }
  }
}
