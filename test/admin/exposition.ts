// A strict reader of what Prometheus is told: OpenMetrics 1.0, and the text format 0.0.4, as far as counters and gauges go.

export interface ReadFamily {
  readonly type: string;
  readonly help: string;
  /** By name and labels, as `name{a="b"}`, labels as JSON. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = `[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"`;
const SAMPLE = new RegExp(
  `^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (-?(?:\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|Inf)|\\+Inf|NaN)$`,
);
const ESCAPES: Readonly<Record<string, string>> = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };

/** Throws for a line that is none, a family that begins twice, a sample outside its family, and one that is there twice. */
export const readExposition = (text: string, format: "open" | "plain"): Map<string, ReadFamily> => {
  const families = new Map<string, { type: string; help: string; samples: Map<string, number> }>();
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error("the last line has no end");
  if (format === "open" && lines.pop() !== "# EOF") throw new Error("it does not end with # EOF");
  let current = "";
  for (const line of lines) {
    if (line === "" && format === "plain") continue;
    const [, what, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (what === "HELP") {
      if (families.has(name)) throw new Error(`${name} begins twice`);
      families.set(name, { type: "", help: rest, samples: new Map() });
      current = name;
    } else if (what === "TYPE") {
      if (name !== current) throw new Error(`the type of ${name} stands with ${current}`);
      families.get(name)!.type = rest;
    } else take(line, current, families.get(current)!, format);
  }
  return families;
};

const take = (
  line: string,
  family: string,
  { type, samples }: { type: string; samples: Map<string, number> },
  format: string,
) => {
  const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`this is no sample: ${line}`);
  const expected = format === "open" && type === "counter" ? `${family}_total` : family;
  if (name !== expected) throw new Error(`${name} stands in the family ${family}`);
  const read = [...labels.matchAll(new RegExp(LABEL, "g"))].map(([label]) => {
    const at = label.indexOf("=");
    return [label.slice(0, at), label.slice(at + 2, -1).replace(/\\["\\n]/g, (escaped) => ESCAPES[escaped]!)] as const;
  });
  const key = `${name}${read.length === 0 ? "" : JSON.stringify(Object.fromEntries(read))}`;
  if (samples.has(key)) throw new Error(`${key} is there twice`);
  samples.set(key, Number(value));
};
