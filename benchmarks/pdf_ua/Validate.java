import java.io.FileInputStream;
import java.util.Map;
import java.util.TreeMap;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;

/**
 * Checks PDFs against PDF/UA-1, one line each; exits with 1 if one does not conform.
 *
 * <pre>
 * mvn -q -f benchmarks/pdf_ua/pom.xml dependency:copy-dependencies -DoutputDirectory=/tmp/verapdf
 * java -cp '/tmp/verapdf/*' benchmarks/pdf_ua/Validate.java gallery/*.pdf
 * </pre>
 */
public class Validate {
    public static void main(String[] files) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        boolean all = true;
        for (String file : files) {
            var failures = new TreeMap<String, String>();
            boolean conforms;
            try (var parser = Foundries.defaultInstance().createParser(new FileInputStream(file), PDFAFlavour.PDFUA_1)) {
                var validator = Foundries.defaultInstance().createValidator(PDFAFlavour.PDFUA_1, 1000, false, false, false);
                var result = validator.validate(parser);
                conforms = result.isCompliant();
                for (TestAssertion assertion : result.getTestAssertions()) {
                    if (assertion.getStatus() == TestAssertion.Status.FAILED) {
                        var rule = assertion.getRuleId();
                        failures.putIfAbsent(rule.getClause() + "-" + rule.getTestNumber(), assertion.getMessage());
                    }
                }
            }
            System.out.println(file + ": " + (conforms ? "conforms to PDF/UA-1" : "fails"));
            for (Map.Entry<String, String> failure : failures.entrySet()) {
                System.out.println("  " + failure.getKey() + ": " + failure.getValue());
            }
            all &= conforms;
        }
        System.exit(all ? 0 : 1);
    }
}
