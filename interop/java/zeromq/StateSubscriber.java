import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import org.zeromq.ZMQ;

/**
 * StateSubscriber ENDPOINT [PREFIX...]
 *
 * <p>Follows a state that is published on a PUB socket, and prints it as a table, anew after each
 * message: of two parts, the key and the change. A subscription is answered by the current values.
 */
public final class StateSubscriber {
  public static void main(String[] args) {
    if (args.length < 1) {
      System.err.println("usage: StateSubscriber ENDPOINT [PREFIX...]");
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
      Map<String, String> state = new TreeMap<>();
      while (true) {
        sub.recv(); // the key is in the change too
        StateConsumer.apply(state, Json.members(new String(sub.recv(), StandardCharsets.UTF_8)));
        StateConsumer.print(state);
      }
    }
  }
}
