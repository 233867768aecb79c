// The JDBC driver of PostgreSQL on one connection: java -cp postgresql.jar Pgjdbc.java URL SQL
// Prints `protocol user sqlstate` of the SQL, which waits until it is cancelled, or `error sqlstate text`.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.core.BaseConnection;

public class Pgjdbc {
    public static void main(String[] words) throws Exception {
        try (Connection connection = DriverManager.getConnection(words[0]); Statement statement = connection.createStatement()) {
            String protocol = String.valueOf(connection.unwrap(BaseConnection.class).getQueryExecutor().getProtocolVersion());
            String user;
            try (ResultSet rows = statement.executeQuery("select current_user")) {
                rows.next();
                user = rows.getString(1);
            }
            System.out.println(protocol + " " + user + " " + cancelled(statement, words[1]));
        } catch (SQLException error) {
            System.out.println("error " + error.getSQLState() + " " + error.getMessage());
        }
    }

    private static String cancelled(Statement statement, String waits) throws Exception {
        String[] state = new String[1];
        Thread running = new Thread(() -> {
            try {
                statement.execute(waits);
            } catch (SQLException error) {
                state[0] = error.getSQLState();
            }
        });
        running.start();
        for (int tries = 0; tries < 100 && running.isAlive(); tries++) {
            running.join(200);
            if (running.isAlive()) statement.cancel();
        }
        return state[0];
    }
}
