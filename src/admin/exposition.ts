// Metrics as text: OpenMetrics for whoever asks for it, else Prometheus' own format 0.0.4. Loaded when somebody asks.
import Counter from "@prometheus-io/client/lib/counter.js";
import Gauge from "@prometheus-io/client/lib/gauge.js";
import Registry from "@prometheus-io/client/lib/registry.js";

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  /** Of a counter it ends with `_total`. */
  readonly name: string;
  readonly help: string;
  readonly kind: "gauge" | "counter";
  /** All with the same labels. */
  readonly samples: readonly Sample[];
}

const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN = "text/plain; version=0.0.4; charset=utf-8";

/** `accept` as the header has it. A family without samples is left out. */
export const exposition = async (
  families: readonly Family[],
  accept: string | undefined,
): Promise<{ readonly type: string; readonly body: string }> => {
  const type = /\bapplication\/openmetrics-text\b/i.test(accept ?? "") ? OPEN_METRICS : PLAIN;
  const registry = new Registry(type);
  for (const family of families) if (family.samples.length > 0) put(registry, family);
  return { type, body: await registry.metrics() };
};

const put = (registry: InstanceType<typeof Registry>, { name, help, kind, samples }: Family): void => {
  const labelNames = Object.keys(samples[0]!.labels ?? {});
  const options = { name, help, labelNames, registers: [registry] };
  if (kind === "counter") {
    const counter = new Counter(options);
    for (const { labels = {}, value } of samples) counter.inc({ ...labels }, value);
    return;
  }
  const gauge = new Gauge(options);
  for (const { labels = {}, value } of samples) gauge.set({ ...labels }, value);
};
