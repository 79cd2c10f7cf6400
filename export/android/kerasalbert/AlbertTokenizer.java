package kerasalbert;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.zip.CRC32;

/**
 * ALBERT's tokenizer and packer for Android and other JVMs; no dependencies.
 *
 * <p>It reads the vocabulary file of a bundle ({@code keras-albert export
 * --bundle}) and gives the ids of the Python package's {@code
 * AlbertTokenizer}: normalization by the longest matching rule, then the most
 * probable segmentation, as SentencePiece's Unigram model has it. Any number
 * of threads may use one instance.
 */
public final class AlbertTokenizer {
  /** How two texts share a sequence that is too short for both. */
  public enum Truncate {
    /** Both texts get the same room. */
    ROUND_ROBIN,
    /** The second text gets what the first one leaves. */
    WATERFALL
  }

  /** The inputs of a model, each one row of the same length. */
  public static final class Inputs {
    public final int[] tokenIds;
    public final int[] segmentIds;
    public final int[] paddingMask;

    private Inputs(int[] tokenIds, int secondText) {
      this.tokenIds = tokenIds;
      segmentIds = new int[tokenIds.length];
      Arrays.fill(segmentIds, secondText, tokenIds.length, 1);
      paddingMask = new int[tokenIds.length];
      Arrays.fill(paddingMask, 1);
    }
  }

  private static final String MAGIC = "ALBV";
  private static final int VERSION = 1;
  private static final int HEADER_BYTES = 16;
  // SentencePiece keeps sums small, so that long texts lose no precision.
  private static final float LARGEST_SUM = 100000f;
  private static final Pattern LONE_SURROGATE = Pattern.compile("\\p{Cs}");

  private final boolean addSpace;
  private final boolean collapseSpaces;
  private final char space;
  private final int unknownId;
  private final int clsId;
  private final int sepId;
  private final float[] scores;
  private final int[][] splits;
  private final String[] targets;
  private final Trie pieces;
  private final Trie symbols;
  private final Trie rules;

  /**
   * Reads a vocabulary file, and leaves the stream open.
   *
   * @throws IOException if it cannot be read, is no vocabulary file, was cut
   *     off, damaged, or is of a version that this code does not know.
   */
  public AlbertTokenizer(InputStream stream) throws IOException {
    ByteBuffer file = checkedPayload(readAll(stream));
    int flags = file.getInt();
    addSpace = (flags & 1) != 0;
    collapseSpaces = (flags & 2) != 0;
    space = (flags & 4) != 0 ? '\u2581' : ' ';
    unknownId = file.getInt();
    clsId = file.getInt();
    sepId = file.getInt();
    file.position(file.position() + 8); // The ids of <pad> and [MASK].
    scores = new float[file.getInt()];
    for (int i = 0; i < scores.length; i++) scores[i] = file.getFloat();
    boolean[] isHidden = mask(scores.length, readInts(file));
    boolean[] isSymbol = mask(scores.length, readInts(file));
    splits = new int[scores.length][];
    for (int left = file.getInt(); left > 0; left--) splits[file.getInt()] = readInts(file);
    String[] names = readStrings(file);
    String[] sources = readStrings(file);
    targets = readStrings(file);
    pieces = new Trie(names, isHidden, false);
    symbols = new Trie(names, isSymbol, true);
    rules = new Trie(sources, new boolean[sources.length], false);
  }

  /**
   * Gives the token ids of a text, without special tokens.
   *
   * @param text of any length; a surrogate without its other half counts as
   *     U+FFFD.
   */
  public int[] tokenize(String text) {
    return segment(normalize(text));
  }

  /**
   * Packs {@code [CLS] text [SEP]} or {@code [CLS] text [SEP] pair [SEP]}, no
   * longer than it needs to be.
   *
   * @param pair the second text, or null.
   * @param maxLength in tokens.
   * @throws IllegalArgumentException if maxLength does not hold the special
   *     tokens.
   */
  public Inputs pack(String text, String pair, int maxLength, Truncate truncate) {
    int specialTokens = pair == null ? 2 : 3;
    int room = maxLength - specialTokens;
    if (room < 0) {
      throw new IllegalArgumentException(
          "maxLength must be at least " + specialTokens
              + ", to hold the special tokens. Received: " + maxLength + ".");
    }
    int[] first = tokenize(text);
    int[] second = pair == null ? new int[0] : tokenize(pair);
    int kept = Math.min(first.length, room);
    if (truncate == Truncate.ROUND_ROBIN) {
      kept = Math.min(kept, Math.max(room - second.length, (room + 1) / 2));
    }
    int keptOfSecond = Math.min(second.length, room - kept);
    int[] tokens = new int[specialTokens + kept + keptOfSecond];
    tokens[0] = clsId;
    System.arraycopy(first, 0, tokens, 1, kept);
    tokens[kept + 1] = sepId;
    System.arraycopy(second, 0, tokens, kept + 2, keptOfSecond);
    tokens[tokens.length - 1] = sepId;
    return new Inputs(tokens, kept + 2);
  }

  /** Reads a bundle's labels.txt: the labels, in the order of the outputs. */
  public static String[] readLabels(InputStream stream) throws IOException {
    String content = new String(readAll(stream), StandardCharsets.UTF_8);
    if (content.endsWith("\n")) content = content.substring(0, content.length() - 1);
    return content.split("\n", -1);
  }

  private String normalize(String input) {
    String text = LONE_SURROGATE.matcher(input).replaceAll("\ufffd");
    StringBuilder out = new StringBuilder(text.length() + 16);
    if (addSpace) out.append(space);
    boolean isStart = true;
    boolean afterSpace = collapseSpaces;
    for (int at = 0; at < text.length(); ) {
      int symbol = symbols.longest(text, at);
      int rule = symbol > 0 ? 0 : rules.longest(text, at);
      int end = at + Character.charCount(text.codePointAt(at));
      if (symbol > 0) end = at + symbols.depths[symbol];
      if (rule > 0) end = at + rules.depths[rule];
      String target = rule > 0 ? targets[rules.values[rule]] : text.substring(at, end);
      at = end;
      if (isStart && collapseSpaces && target.equals(" ")) continue;
      isStart = false;
      int from = 0;
      while (afterSpace && from < target.length() && target.charAt(from) == ' ') from++;
      if (from == target.length()) continue;
      for (int i = from; i < target.length(); i++) {
        out.append(target.charAt(i) == ' ' ? space : target.charAt(i));
      }
      afterSpace = collapseSpaces && target.charAt(target.length() - 1) == ' ';
    }
    if (isStart) return "";
    int end = out.length();
    while (collapseSpaces && end > 0 && out.charAt(end - 1) == space) end--;
    return out.substring(0, end);
  }

  /** The ids of the most probable segmentation: Viterbi, with sums in float32. */
  private int[] segment(String text) {
    float[] best = new float[text.length() + 1];
    int[] starts = new int[text.length() + 1];
    int[] ids = new int[text.length() + 1];
    Arrays.fill(starts, -1);
    int furthest = 0;
    for (int start = 0, step; start < text.length(); start += step) {
      float offset = Math.abs(best[start]) > LARGEST_SUM ? best[start] : 0;
      for (int i = start; offset != 0 && i <= furthest; i++) best[i] -= offset;
      step = Character.charCount(text.codePointAt(start));
      int node = 0;
      for (int end = start + 1; node >= 0 || end <= start + step; end++) {
        if (end > text.length()) break;
        if (node >= 0) node = pieces.child(node, text.charAt(end - 1));
        int id = node < 0 ? -1 : pieces.values[node];
        if (id < 0 && end == start + step) id = unknownId;
        if (id < 0) continue;
        float sum = best[start] + scores[id];
        if (starts[end] >= 0 && sum <= best[end]) continue;
        best[end] = sum;
        starts[end] = start;
        ids[end] = id;
        furthest = Math.max(furthest, end);
      }
    }
    int[] result = new int[16];
    int first = result.length; // Filled from its end.
    for (int end = text.length(), last = -1; end > 0; end = starts[end]) {
      // A run of unknown characters is one token.
      boolean isRun = ids[end] == unknownId && last == unknownId;
      last = ids[end];
      int[] parts = splits[last] == null ? new int[] {last} : splits[last];
      if (isRun) continue;
      if (first < parts.length) {
        int[] longer = new int[2 * result.length + parts.length];
        int used = result.length - first;
        System.arraycopy(result, first, longer, longer.length - used, used);
        first = longer.length - used;
        result = longer;
      }
      first -= parts.length;
      System.arraycopy(parts, 0, result, first, parts.length);
    }
    return Arrays.copyOfRange(result, first, result.length);
  }

  private static ByteBuffer checkedPayload(byte[] bytes) throws IOException {
    ByteBuffer file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    byte[] magic = MAGIC.getBytes(StandardCharsets.US_ASCII);
    boolean isOurs = bytes.length >= HEADER_BYTES;
    for (int i = 0; isOurs && i < magic.length; i++) isOurs = bytes[i] == magic[i];
    if (!isOurs) throw fail("must start with " + MAGIC + ": this is none, or it was cut off.");
    if (file.getInt(4) != VERSION) {
      throw fail("must be of version " + VERSION + ". Received: version " + file.getInt(4) + ".");
    }
    int length = file.getInt(8);
    if (bytes.length - HEADER_BYTES != length) {
      throw fail(
          "must have " + (HEADER_BYTES + (length & 0xffffffffL)) + " bytes. Received: "
              + bytes.length + ".");
    }
    CRC32 checksum = new CRC32();
    checksum.update(bytes, HEADER_BYTES, length);
    if ((int) checksum.getValue() != file.getInt(12)) {
      throw fail("is damaged: its checksum is wrong.");
    }
    file.position(HEADER_BYTES);
    return file;
  }

  private static IOException fail(String message) {
    return new IOException("The vocabulary file " + message);
  }

  private static boolean[] mask(int length, int[] places) {
    boolean[] mask = new boolean[length];
    for (int place : places) mask[place] = true;
    return mask;
  }

  private static int[] readInts(ByteBuffer file) {
    int[] numbers = new int[file.getInt()];
    for (int i = 0; i < numbers.length; i++) numbers[i] = file.getInt();
    return numbers;
  }

  private static String[] readStrings(ByteBuffer file) {
    int count = file.getInt();
    byte[] encoded = new byte[file.getInt()];
    file.get(encoded);
    String joined = new String(encoded, StandardCharsets.UTF_8);
    return count == 0 ? new String[0] : joined.split("\0", -1);
  }

  private static byte[] readAll(InputStream stream) throws IOException {
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int size; (size = stream.read(buffer)) >= 0; ) content.write(buffer, 0, size);
    return content.toByteArray();
  }
}
