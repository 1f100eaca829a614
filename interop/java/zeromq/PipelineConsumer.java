import java.nio.charset.StandardCharsets;
import org.zeromq.ZMQ;

/**
 * PipelineConsumer ENDPOINT
 *
 * <p>Collects what any number of producers send, and prints each message as a line. It takes from
 * them in turn, so that a busy producer doesn't hold up the others.
 */
public final class PipelineConsumer {
  public static void main(String[] args) {
    if (args.length != 1) {
      System.err.println("usage: PipelineConsumer ENDPOINT");
      System.exit(2);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket pull = context.socket(ZMQ.PULL)) {
      Endpoint.listen(pull, args[0]);
      while (true) {
        System.out.println(new String(pull.recv(), StandardCharsets.UTF_8));
      }
    }
  }
}
