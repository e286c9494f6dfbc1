// Command kstatus reads a list of Kubernetes objects as JSON from standard input, and prints for each of them, in a line
// of its own, which status kstatus computes: the library by which Flux, Helm and kpt know whether to wait.
package main

import (
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json" // it decodes whole numbers as int64, which accessors of objects expect
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var objects []any
	if err := json.Unmarshal(data, &objects); err != nil {
		return err
	}
	for _, object := range objects {
		result, err := status.Compute(&unstructured.Unstructured{Object: object.(map[string]any)})
		if err != nil {
			return err
		}
		fmt.Println(result.Status)
	}
	return nil
}
