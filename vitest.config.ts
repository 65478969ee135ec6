import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    restoreMocks: true,
    // half of the time is waiting: of two cores the runner would leave one to itself
    maxWorkers: 2,
  },
});
