import java.util.LinkedHashMap;
import java.util.Map;

/** As much of JSON as the state protocol's lines need: the members of an object, each as JSON. */
final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /** The members of an object that is known to be JSON, in order: names decoded, values as they are. */
  static Map<String, String> members(String object) {
    Json in = new Json(object);
    Map<String, String> members = new LinkedHashMap<>();
    in.at = object.indexOf('{') + 1;
    while (in.peek() != '}') {
      String name = string(in.value());
      in.skip(':');
      members.put(name, in.value());
      in.skip(',');
    }
    return members;
  }

  /** The text of a JSON string; any other value as it is. */
  static String string(String value) {
    if (!value.startsWith("\"")) {
      return value;
    }
    StringBuilder s = new StringBuilder();
    for (int i = 1; i < value.length() - 1; i++) {
      char c = value.charAt(i);
      if (c != '\\') {
        s.append(c);
        continue;
      }
      c = value.charAt(++i);
      int plain = "bfnrt".indexOf(c);
      if (c == 'u') {
        s.append((char) Integer.parseInt(value.substring(i + 1, i + 5), 16));
        i += 4;
      } else {
        s.append(plain < 0 ? c : "\b\f\n\r\t".charAt(plain));
      }
    }
    return s.toString();
  }

  private char peek() {
    while (Character.isWhitespace(text.charAt(at))) {
      at++;
    }
    return text.charAt(at);
  }

  private void skip(char c) {
    if (peek() == c) {
      at++;
    }
  }

  /** The next value: up to the comma or bracket that ends it, outside strings and brackets of its own. */
  private String value() {
    peek();
    int start = at;
    boolean quoted = false;
    for (int depth = 0; ; at++) {
      char c = text.charAt(at);
      if (quoted) {
        if (c == '\\') {
          at++;
        } else if (c == '"') {
          quoted = false;
        }
      } else if (c == '"') {
        quoted = true;
      } else if (c == '{' || c == '[') {
        depth++;
      } else if (depth == 0 && ",:}] \t\r\n".indexOf(c) >= 0) {
        return text.substring(start, at);
      } else if (c == '}' || c == ']') {
        depth--;
      }
    }
  }
}
