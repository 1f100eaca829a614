import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.zeromq.ZMQ;

/**
 * NotificationsPublisher ENDPOINT
 *
 * <p>Tells any number of clients what is new. A line of its input is "TOPIC TEXT"; it goes out as a
 * message of two parts, and only to those who subscribed to the topic.
 *
 * <p>A client that comes late has missed what was said. So the last text of each topic is kept, and
 * an XPUB, which is a PUB that sees subscriptions, says it again to a new one. Clients of the same
 * topic then hear it twice.
 */
public final class NotificationsPublisher {
  private static final String LINES = "inproc://lines";
  private static final String END = ""; // of the input: a line has a topic

  public static void main(String[] args) throws InterruptedException {
    if (args.length != 1) {
      System.err.println("usage: NotificationsPublisher ENDPOINT");
      System.exit(2);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket xpub = context.socket(ZMQ.XPUB);
        ZMQ.Socket lines = context.socket(ZMQ.PULL)) {
      xpub.setXpubVerbose(true); // show every subscription, not each topic's first
      Endpoint.listen(xpub, args[0]);
      lines.bind(LINES);
      // A socket belongs to one thread: the one that reads the input has its own.
      Thread reader = new Thread(() -> read(context));
      reader.start();
      publish(xpub, lines, new ZMQ.Poller(2));
      reader.join();
    }
  }

  private static void read(ZMQ.Context context) {
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (ZMQ.Socket push = context.socket(ZMQ.PUSH)) {
      push.connect(LINES);
      for (String line; (line = in.readLine()) != null; ) {
        if (!line.isEmpty()) {
          push.send(line);
        }
      }
      push.send(END);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void publish(ZMQ.Socket xpub, ZMQ.Socket lines, ZMQ.Poller poller) {
    Map<String, String> last = new LinkedHashMap<>();
    int subscriptions = poller.register(xpub, ZMQ.Poller.POLLIN);
    int input = poller.register(lines, ZMQ.Poller.POLLIN);
    while (true) {
      poller.poll();
      if (poller.pollin(subscriptions)) {
        String event = xpub.recvStr(); // 1 and a prefix, or at its end 0
        last.forEach(
            (topic, text) -> {
              if (event.charAt(0) == 1 && topic.startsWith(event.substring(1))) {
                say(xpub, topic, text);
              }
            });
      }
      if (poller.pollin(input)) {
        String line = lines.recvStr();
        if (line.equals(END)) {
          return;
        }
        String[] words = line.split(" ", 2);
        String text = words.length == 2 ? words[1] : "";
        last.put(words[0], text);
        say(xpub, words[0], text);
      }
    }
  }

  private static void say(ZMQ.Socket xpub, String topic, String text) {
    xpub.sendMore(topic.getBytes(StandardCharsets.UTF_8));
    xpub.send(text.getBytes(StandardCharsets.UTF_8));
  }
}
