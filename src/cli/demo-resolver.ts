// The demo's part of 8.8.8.8: a resolver that knows one name.
import { createSocket } from "node:dgram";
import type { AddressInfo } from "node:net";
import { Packet } from "dns2";

export interface DemoResolver {
  readonly port: number;
  stop(): Promise<void>;
}

export const demoResolver = async (name: string, address: string): Promise<DemoResolver> => {
  const socket = createSocket("udp4");
  socket.on("message", (message, peer) => {
    const query = Packet.parse(message);
    const reply = Packet.createResponseFromRequest(query);
    const [question] = query.questions;
    const isAsked = question?.name.toLowerCase() === name && question.type === Packet.TYPE.A;
    if (isAsked)
      reply.answers.push(Object.assign(new Packet.Resource(question.name, Packet.TYPE.A, Packet.CLASS.IN, 30), { address }));
    socket.send(reply.toBuffer(), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  let open = true;
  return {
    port: (socket.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        if (!open) return resolve();
        open = false;
        socket.close(() => resolve());
      }),
  };
};
