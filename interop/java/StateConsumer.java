import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/**
 * StateConsumer HOST PORT | PATH
 *
 * <p>Follows a published state and prints it as a table, anew after each change: one line of JSON
 * is the whole state, and each further line a change.
 */
public final class StateConsumer {
  public static void main(String[] args) {
    if (args.length != 1 && args.length != 2) {
      System.err.println("usage: StateConsumer HOST PORT | PATH");
      System.exit(2);
    }
    SocketAddress address =
        args.length == 1
            ? UnixDomainSocketAddress.of(args[0])
            : new InetSocketAddress(args[0], Integer.parseInt(args[1]));
    try (SocketChannel server = SocketChannel.open(address);
        BufferedReader lines =
            new BufferedReader(Channels.newReader(server, StandardCharsets.UTF_8))) {
      Map<String, String> state = new TreeMap<>();
      for (String line; (line = lines.readLine()) != null; ) {
        apply(state, Json.members(line));
        print(state);
      }
    } catch (IOException e) {
      System.err.println("StateConsumer: " + e.getMessage());
      System.exit(1);
    }
  }

  /** Takes in a line: a snapshot replaces all that was known, a change concerns one key. */
  static void apply(Map<String, String> state, Map<String, String> line) {
    if (line.containsKey("error")) {
      System.err.println("the server says: " + Json.string(line.get("error")));
    } else if (line.containsKey("snapshot")) {
      state.clear();
      state.putAll(Json.members(line.get("snapshot")));
    } else if (line.containsKey("deleted")) {
      state.remove(Json.string(line.get("key")));
    } else {
      state.put(Json.string(line.get("key")), line.get("value"));
    }
  }

  static void print(Map<String, String> state) {
    System.out.printf("%-24s %s%n", "KEY", "VALUE");
    state.forEach((key, value) -> System.out.printf("%-24s %s%n", shown(key), shown(Json.string(value))));
    System.out.println();
  }

  /** What somebody else wrote may hold what a terminal obeys. */
  private static String shown(String text) {
    return text.replaceAll("\\p{C}", "?");
  }
}
