// The front end's process as `serve` starts it: the command line, which has been read, would only make it slower.
import { quit } from "./half.ts";
import { serveFront } from "./serve-front.ts";

await serveFront(process.argv[2]).catch(quit);
