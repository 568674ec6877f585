import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.*;
import java.util.*;
import javax.net.ssl.*;

/** Connects to each server that standard input names, and reports the answer of the PKIX trust manager. */
public class Verify {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0) {
            System.out.println(System.getProperty("java.version"));
            return;
        }
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        for (String line; (line = lines.readLine()) != null; ) {
            String[] fields = line.split("\t");
            String answer = ask(fields[1], Integer.parseInt(fields[2]), fields[3]);
            out.println(fields[0] + "\t" + answer.replaceAll("\\s+", " "));
        }
    }

    static String ask(String host, int port, String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        StringBuilder unread = new StringBuilder();
        int number = 0;
        String text = Files.readString(Path.of(file));
        for (String block : text.split("(?=-----BEGIN)")) {
            if (block.isBlank()) {
                continue;
            }
            try {
                CertificateFactory factory = CertificateFactory.getInstance("X.509");
                InputStream in = new ByteArrayInputStream(block.getBytes("ASCII"));
                store.setCertificateEntry("root" + number++, factory.generateCertificate(in));
            } catch (Exception error) {
                unread.append("roots: ").append(text(error)).append("; ");
            }
        }
        try {
            TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
            trust.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            try (Socket plain = new Socket()) {
                plain.connect(new InetSocketAddress("127.0.0.1", port), 20000);
                plain.setSoTimeout(20000);
                SSLSocketFactory sockets = context.getSocketFactory();
                try (SSLSocket socket = (SSLSocket) sockets.createSocket(plain, host, port, true)) {
                    SSLParameters parameters = socket.getSSLParameters();
                    parameters.setEndpointIdentificationAlgorithm("HTTPS");
                    socket.setSSLParameters(parameters);
                    socket.startHandshake();
                    return unread + "ok";
                }
            }
        } catch (Exception error) {
            return unread + text(error);
        }
    }

    /** The class of an exception and the message of its deepest cause. */
    static String text(Throwable error) {
        Throwable deepest = error;
        while (deepest.getCause() != null && deepest.getCause() != deepest) {
            deepest = deepest.getCause();
        }
        return deepest.getClass().getSimpleName() + ": " + deepest.getMessage();
    }
}
