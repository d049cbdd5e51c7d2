import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Java's HttpClient as influxdb3-java uses it: HTTP/2 preferred, so each clear-text request offers an upgrade to h2c.
 * Prints one line for each request: its status and the protocol of the answer.
 *
 * java Client.java URL TOKEN DATABASE
 */
public class Client {
    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        HttpClient client = HttpClient.newHttpClient();
        List<HttpRequest.BodyPublisher> bodies = new ArrayList<>();
        for (int number = 0; number < 20; number++)
            bodies.add(HttpRequest.BodyPublishers.ofString(line(number)));
        StringBuilder large = new StringBuilder();
        for (int number = 20; number < 30000; number++)
            large.append(line(number));
        byte[] bytes = large.toString().getBytes(StandardCharsets.UTF_8);
        bodies.add(HttpRequest.BodyPublishers.ofByteArray(bytes));
        for (HttpRequest.BodyPublisher body : bodies)
            print(client, request(url + "/api/v2/write?bucket=" + arguments[2], arguments[1]).POST(body).build());
        print(client, request(url + "/ping", arguments[1]).GET().build());
    }

    private static String line(int number) {
        return "java,n=" + number + " value=" + number + "i " + (1700000000000000000L + number) + "\n";
    }

    private static HttpRequest.Builder request(String url, String token) {
        return HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Token " + token);
    }

    private static void print(HttpClient client, HttpRequest request) throws Exception {
        HttpResponse<String> response = client.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.version());
    }
}
