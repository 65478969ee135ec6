// The text formats of Prometheus' client alone: with the whole of it come process metrics, clusters and OpenTelemetry, 18 MB that nothing here uses.
declare module "@prometheus-io/client/lib/registry.js" {
  import type { OpenMetricsContentType, PrometheusContentType, Registry as Whole } from "@prometheus-io/client";

  const Registry: new (type: OpenMetricsContentType | PrometheusContentType) => Whole;
  export default Registry;
}

declare module "@prometheus-io/client/lib/gauge.js" {
  import type { GaugeConfiguration, Gauge as Whole } from "@prometheus-io/client";

  const Gauge: new (options: GaugeConfiguration<string>) => Whole<string>;
  export default Gauge;
}

declare module "@prometheus-io/client/lib/counter.js" {
  import type { CounterConfiguration, Counter as Whole } from "@prometheus-io/client";

  const Counter: new (options: CounterConfiguration<string>) => Whole<string>;
  export default Counter;
}
