import { isIPv4 } from "node:net";
import fc from "fast-check";
import { expect, it } from "vitest";
import { leadingTo, reachOf } from "../../src/lib/address-reach.ts";

it.each([
  [
    "public",
    ["8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"],
  ],
  [
    "private",
    [
      ...["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.255.255.254", "100.64.0.1", "198.18.0.1", "::1"],
      ...[
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "::ffff:7f00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "::7f00:1",
        "64:ff9b:1::8.8.8.8",
      ],
    ],
  ],
  [
    "never",
    [
      ...["0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "ff02::1"],
      ...[
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "::ffff:0:7f00:1",
        "2001:0:1::1",
        "",
        "localhost",
        "1.2.3",
        "0x7f.1",
      ],
    ],
  ],
] as const)("%s", (reach, addresses) => {
  for (const address of addresses) expect([address, reachOf(address)]).toEqual([address, reach]);
});

it("an IPv4 address reaches as far in every form that carries it", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(isIPv4(address)).toBe(true);
      const reach = reachOf(address);
      expect([`::ffff:${address}`, `64:ff9b::${address}`].map(reachOf)).toEqual([reach, reach]);
    }),
  );
});

it.each([
  ["2001:0DB8:0:0::5", "2001:db8::5"],
  ["2001:db8:0:0:0:0:0:5%eth0", "2001:db8::5"],
  ["64:ff9b::192.0.2.1", "192.0.2.1"],
  ["64:ff9b:0:0:0:0:c000:0201", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["::c000:201", "192.0.2.1"],
  ["::1:0", "0.1.0.0"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["::0", "::"],
  ["192.0.2.1", "192.0.2.1"],
  ["no address", "no address"],
])("%s leads to %s", (address, to) => {
  expect(leadingTo(address)).toBe(to);
});
