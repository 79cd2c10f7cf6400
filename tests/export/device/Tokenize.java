import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import kerasalbert.AlbertTokenizer;

/** Runs the tokenizer as tokenize.mjs does, with the same arguments. */
public final class Tokenize {
  public static void main(String[] args) throws IOException {
    StringBuilder out = new StringBuilder();
    try (InputStream file = new FileInputStream(args[0])) {
      if (args[1].equals("labels")) {
        System.out.println(String.join("|", AlbertTokenizer.readLabels(file)));
        return;
      }
      AlbertTokenizer tokenizer;
      try {
        tokenizer = new AlbertTokenizer(file);
      } catch (IOException error) {
        System.out.println(error.getMessage());
        System.exit(3);
        return;
      }
      DataInputStream input = new DataInputStream(new BufferedInputStream(System.in));
      while (true) {
        String text;
        try {
          text = read(input);
        } catch (EOFException end) {
          break;
        }
        if (args[1].equals("tokenize")) {
          out.append(join(tokenizer.tokenize(text))).append('\n');
          continue;
        }
        String pair = read(input);
        try {
          AlbertTokenizer.Inputs inputs =
              tokenizer.pack(
                  text,
                  pair,
                  Integer.parseInt(args[2]),
                  AlbertTokenizer.Truncate.valueOf(args[3].toUpperCase()));
          out.append(join(inputs.tokenIds)).append('|').append(join(inputs.segmentIds));
          out.append('|').append(join(inputs.paddingMask)).append('\n');
        } catch (IllegalArgumentException error) {
          out.append(error.getMessage()).append('\n');
        }
      }
    }
    System.out.print(out);
  }

  private static String read(DataInputStream input) throws IOException {
    int length = input.readInt();
    if (length < 0) return null;
    char[] units = new char[length];
    for (int i = 0; i < length; i++) units[i] = input.readChar();
    return new String(units);
  }

  private static String join(int[] numbers) {
    return Arrays.toString(numbers).replaceAll("[\\[\\],]", "");
  }
}
