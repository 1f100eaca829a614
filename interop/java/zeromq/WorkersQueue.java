import org.zeromq.ZMQ;

/**
 * WorkersQueue FRONT BACK
 *
 * <p>Stands between clients and workers, none of whom need to know each other: listens for both,
 * gives requests to the workers in turn, and takes each reply back to the client who asked.
 */
public final class WorkersQueue {
  public static void main(String[] args) {
    if (args.length != 2) {
      System.err.println("usage: WorkersQueue FRONT BACK");
      System.exit(2);
    }
    try (ZMQ.Context context = ZMQ.context(1);
        ZMQ.Socket router = context.socket(ZMQ.ROUTER);
        ZMQ.Socket dealer = context.socket(ZMQ.DEALER)) {
      Endpoint.listen(router, args[0]);
      Endpoint.listen(dealer, args[1]);
      ZMQ.proxy(router, dealer, null);
    }
  }
}
