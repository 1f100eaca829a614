import java.nio.charset.StandardCharsets;
import org.zeromq.ZMQ;

/**
 * NotificationsSubscriber ENDPOINT [TOPIC...]
 *
 * <p>Prints notifications as they come, a line "TOPIC TEXT" each: those whose topic begins with one
 * of the words given, or all. The publisher may come later, or go away and come back.
 */
public final class NotificationsSubscriber {
  public static void main(String[] args) {
    if (args.length < 1) {
      System.err.println("usage: NotificationsSubscriber ENDPOINT [TOPIC...]");
      System.exit(2);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket sub = context.socket(ZMQ.SUB)) {
      if (args.length == 1) {
        sub.subscribe(new byte[0]);
      }
      for (int i = 1; i < args.length; i++) {
        sub.subscribe(args[i].getBytes(StandardCharsets.UTF_8));
      }
      sub.connect(args[0]);
      while (true) {
        String topic = new String(sub.recv(), StandardCharsets.UTF_8);
        String text = new String(sub.recv(), StandardCharsets.UTF_8);
        System.out.println(topic + " " + text);
      }
    }
  }
}
