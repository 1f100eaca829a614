import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.zeromq.ZMQ;

/**
 * PipelineProducer ENDPOINT
 *
 * <p>Sends each line of its input as one message to whoever collects them. Any number of producers
 * may do so; while the consumer is away or slow, they wait.
 */
public final class PipelineProducer {
  public static void main(String[] args) throws IOException {
    if (args.length != 1) {
      System.err.println("usage: PipelineProducer ENDPOINT");
      System.exit(2);
    }
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket push = context.socket(ZMQ.PUSH)) {
      push.connect(args[0]);
      for (String line; (line = in.readLine()) != null; ) {
        push.send(line.getBytes(StandardCharsets.UTF_8));
      }
    } // the context has waited until the last message was sent
  }
}
