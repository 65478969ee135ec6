import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// The world by itself comes first: when it fails, the rest means nothing.
class WorldFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => (moduleId.endsWith("/world.test.ts") ? "" : moduleId);
    return files.toSorted((one, other) => rank(one).localeCompare(rank(other)));
  }
}

// One worker, one file after the other: every file's world uses the same addresses.
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.test.ts"],
    fileParallelism: false,
    maxWorkers: 1,
    sequence: { concurrent: false, shuffle: false, sequencer: WorldFirst },
    testTimeout: 180_000,
    hookTimeout: 120_000,
    reporters: ["verbose"],
  },
});
