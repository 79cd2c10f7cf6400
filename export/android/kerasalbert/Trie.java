package kerasalbert;

import java.util.Arrays;

/** A prefix tree of strings; its nodes are numbered breadth first. */
final class Trie {
  /** For each node the index of the string that ends there, or -1. */
  final int[] values;
  /** For each node the length of its prefix, in UTF-16 code units. */
  final int[] depths;
  private final char[] units;
  private final int[] children;

  /** Takes the strings at whose place the mask has the wanted value. */
  Trie(String[] strings, boolean[] mask, boolean wanted) {
    int count = 0;
    int size = 1;
    Integer[] keys = new Integer[strings.length];
    for (int i = 0; i < strings.length; i++) {
      if (mask[i] != wanted) continue;
      keys[count++] = i;
      size += strings[i].length();
    }
    Arrays.sort(keys, 0, count, (a, b) -> strings[a].compareTo(strings[b]));
    int[] values = new int[size];
    int[] depths = new int[size];
    char[] units = new char[size];
    int[] children = new int[size + 1];
    // A node's strings are a range of keys, with its prefix in common.
    int[] lows = new int[size];
    int[] ends = new int[size];
    ends[0] = count;
    int nodes = 1;
    for (int node = 0; node < nodes; node++) {
      children[node] = nodes;
      int at = lows[node];
      int depth = depths[node];
      boolean isEnd = at < ends[node] && strings[keys[at]].length() == depth;
      values[node] = isEnd ? keys[at++] : -1;
      while (at < ends[node]) {
        char unit = strings[keys[at]].charAt(depth);
        units[nodes] = unit;
        depths[nodes] = depth + 1;
        lows[nodes] = at;
        while (at < ends[node] && strings[keys[at]].charAt(depth) == unit) at++;
        ends[nodes++] = at;
      }
      children[node + 1] = nodes;
    }
    this.values = Arrays.copyOf(values, nodes);
    this.depths = Arrays.copyOf(depths, nodes);
    this.units = Arrays.copyOf(units, nodes);
    this.children = Arrays.copyOf(children, nodes + 1);
  }

  /** The child of a node by a UTF-16 code unit, or -1. */
  int child(int node, char unit) {
    int found = Arrays.binarySearch(units, children[node], children[node + 1], unit);
    return found < 0 ? -1 : found;
  }

  /** The node of the longest string at a place in a text; 0 for none. */
  int longest(String text, int start) {
    int longest = 0;
    for (int at = start, node = 0; at < text.length(); ) {
      node = child(node, text.charAt(at++));
      if (node < 0) break;
      if (values[node] >= 0) longest = node;
    }
    return longest;
  }
}
