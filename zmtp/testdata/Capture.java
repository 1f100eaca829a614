import org.zeromq.ZMQ;

/** One socket of JeroMQ for capture.py: Capture TYPE ENDPOINT dials, exchanges a few messages and ends. */
public class Capture {
    public static void main(String[] args) throws Exception {
        ZMQ.Context context = ZMQ.context(1);
        int type = (Integer) ZMQ.class.getField(args[0]).get(null);
        ZMQ.Socket socket = context.socket(type);
        socket.setLinger(500);
        socket.setReceiveTimeOut(5000);
        socket.setIdentity("java".getBytes());
        if (args[0].equals("SUB")) {
            socket.subscribe("".getBytes());
        }
        socket.connect(args[1]);
        if (args[0].equals("XSUB")) {
            socket.send(new byte[] {1}, 0);
        }
        System.out.println("ready");
        System.out.flush();
        switch (args[0]) {
        case "PUB":
        case "XPUB":
            for (int i = 0; i < 20; i++) {
                socket.sendMore("a");
                socket.send("b");
                Thread.sleep(50);
            }
            break;
        case "REQ":
        case "DEALER":
        case "PAIR":
            socket.sendMore("a");
            socket.send("b");
            socket.recv(0);
            break;
        case "PUSH":
            socket.sendMore("a");
            socket.sendMore("");
            socket.send(new byte[300]);
            break;
        case "REP":
            socket.send(socket.recv(0));
            break;
        default:
            socket.recv(0);
        }
        socket.close();
        context.term();
    }
}
