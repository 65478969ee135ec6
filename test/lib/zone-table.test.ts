import { expect, it } from "vitest";
import { ZoneTable } from "../../src/lib/zone-table.ts";

const table = new ZoneTable([
  ["corp.example", "corp"],
  ["deep.corp.example", "deep"],
  ["lab", "lab"],
]);

it.each([
  ["corp.example", "corp"],
  ["a.b.corp.example", "corp"],
  ["deep.corp.example", "deep"],
  ["x.deep.corp.example", "deep"],
  ["notdeep.corp.example", "corp"],
  ["lab", "lab"],
  ["host.lab", "lab"],
  ["example", undefined],
  ["notcorp.example", undefined],
  ["a\\.corp.example", undefined],
  ["a\\\\.corp.example", "corp"],
  ["a\\046.corp.example", "corp"],
  ["", undefined],
  ["odd\\", undefined],
])("%j lies in %s", (name, zone) => expect(table.find(name)).toBe(zone));
