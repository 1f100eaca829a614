import org.zeromq.ZMQ;

/** The one step that every listening program in this folder takes. */
final class Endpoint {
  private Endpoint() {}

  /**
   * Binds a socket and prints "listening on ENDPOINT". Port 0 takes a free one: this version of
   * JeroMQ looks for it itself, as it cannot tell which one the system has chosen.
   */
  static void listen(ZMQ.Socket socket, String endpoint) {
    if (endpoint.endsWith(":0")) {
      String host = endpoint.substring(0, endpoint.length() - ":0".length());
      endpoint = host + ":" + socket.bindToRandomPort(host);
    } else {
      socket.bind(endpoint);
    }
    System.out.println("listening on " + endpoint);
  }
}
