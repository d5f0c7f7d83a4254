// Observes the values on standard input, 8 bytes each, in a native histogram of client_golang. Writes the histogram to
// standard output as Prometheus scrapes it: as a delimited protobuf message.
//
//	observe FACTOR
package main

import (
	"bufio"
	"encoding/binary"
	"math"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func main() {
	factor, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:                        "observed",
		Help:                        "Observed values.",
		NativeHistogramBucketFactor: factor,
	})
	input := bufio.NewReader(os.Stdin)
	for {
		var bits uint64
		if binary.Read(input, binary.LittleEndian, &bits) != nil {
			break
		}
		histogram.Observe(math.Float64frombits(bits))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(histogram)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	encoder := expfmt.NewEncoder(os.Stdout, expfmt.FmtProtoDelim)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			panic(err)
		}
	}
}
