// go-containerregistry's registry with its referrers API turned on, which none of that project's own commands does.
// It does not confirm a subject (OCI-Subject), so that clients keep the fallback tag as well, and filters no types.
// lab-tools builds it; everything is kept in memory.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], registry.New(registry.WithReferrersSupport(true))))
}
