// The network between the browser and the server, which can fail.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export async function proxy(port) {
  const sockets = new Set();
  let isCut = false;
  let target = port;
  const server = createServer((client) => {
    if (isCut) return client.destroy();
    const upstream = connect(target, "127.0.0.1");
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => (sockets.delete(one), other.destroy()));
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    page: `http://127.0.0.1:${server.address().port}/directory`,
    /** Ends all connections, and accepts no others. */
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    restore(port = target) {
      target = port;
      isCut = false;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
