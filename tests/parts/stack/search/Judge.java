import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.queryparser.classic.QueryParser;

/** Says of each line of its input whether Lucene's classic parser takes it for a query. */
public class Judge {
  public static void main(String[] arguments) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      QueryParser parser = new QueryParser("content", new StandardAnalyzer());
      parser.setAllowLeadingWildcard(true);
      String verdict = "query";
      try {
        parser.parse(line);
      } catch (Exception refused) {
        verdict = "refused";
      }
      System.out.println(verdict);
    }
  }
}
