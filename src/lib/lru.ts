// How large an LRU cache may get, without taking the room before it is used: told `max`, lru-cache makes all its arrays at once,
// two megabytes for fifty thousand names, for each site.

export const upTo = (entries: number) => ({ maxSize: entries, sizeCalculation: () => 1 });
