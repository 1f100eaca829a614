package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A report is all that one call found; it is what the JSON file holds.
type report struct {
	Time        time.Time    `json:"time"`
	System      system       `json:"system"`
	Repetitions int          `json:"repetitions"`
	LoadSeconds float64      `json:"load_seconds"`
	Works       []workReport `json:"works"`
}

type workReport struct {
	Suite      string            `json:"suite"`
	Work       string            `json:"work"`
	Placement  placement         `json:"placement"`
	Unit       string            `json:"unit"`
	Better     string            `json:"better"` // lower or higher
	Base       string            `json:"base,omitempty"`
	Contenders []contenderReport `json:"contenders"`
}

type contenderReport struct {
	Name    string    `json:"name"`
	Samples []float64 `json:"samples,omitempty"` // in the order of the repetitions
	summary
	Ratio  *summary      `json:"ratio,omitempty"` // of the samples to those of the base
	Target *targetReport `json:"target,omitempty"`
	// Missing names what it needs and isn't there; Error is why it gave no numbers.
	Missing string `json:"missing,omitempty"`
	Error   string `json:"error,omitempty"`
}

type targetReport struct {
	Limit   string `json:"limit"`
	Reached bool   `json:"reached"`
}

// result is what the repetitions of one contender gave.
type result struct {
	samples [][]float64 // of each repetition the numbers
	missing string
	err     error
}

// number gives the i-th number of every repetition.
func (r result) number(i int) []float64 {
	var samples []float64
	for _, s := range r.samples {
		samples = append(samples, s[i])
	}
	return samples
}

// newWorkReports makes numbers of results, which are in the order of w's contenders.
func newWorkReports(suite string, w work, results []result) []workReport {
	reports := []workReport{newWorkReport(suite, w, results, 0)}
	if w.beside != nil {
		beside := *w.beside
		beside.place = w.place
		reports = append(reports, newWorkReport(suite, beside, results, 1))
	}
	return reports
}

// newWorkReport reports the number-th of each repetition.
func newWorkReport(suite string, w work, results []result, number int) workReport {
	r := workReport{
		Suite: suite, Work: w.name, Placement: w.place, Unit: w.metric.unit, Better: w.metric.better(), Base: w.base,
	}
	base := slices.IndexFunc(w.contenders, func(c contender) bool { return c.name == w.base })
	medians := map[string]float64{}
	for i, c := range w.contenders {
		if samples := results[i].number(number); results[i].err == nil && len(samples) > 0 {
			medians[c.name] = summarize(samples).Median
		}
	}
	for i, c := range w.contenders {
		samples := results[i].number(number)
		out := contenderReport{Name: c.name, Samples: samples, summary: summarize(samples), Missing: results[i].missing}
		if err := results[i].err; err != nil {
			out.Error = err.Error()
		}
		measured := out.Missing == "" && out.Error == ""
		var over summary
		if measured && base >= 0 {
			if rs := ratios(samples, results[base].number(number)); len(rs) > 0 {
				over = summarize(rs)
				out.Ratio = &over
			}
		}
		if c.target != nil && measured && (c.target.absolute || out.Ratio != nil) {
			out.Target = &targetReport{
				Limit:   c.target.describe(w.metric, w.base),
				Reached: c.target.reached(w.metric, out.Median, over.Median, medians),
			}
		}
		r.Contenders = append(r.Contenders, out)
	}
	return r
}

// write prints r as a table.
func (r workReport) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n%s: %s, %s (%s, %s is better)\n", r.Suite, r.Work, r.Placement, r.Unit, r.Better); err != nil {
		return err
	}
	width := 0
	for _, c := range r.Contenders {
		width = max(width, len(c.Name))
	}
	over := ""
	if r.Base != "" {
		over = "x " + r.Base
	}
	column := max(8, len(over))
	row := func(name, median, least, most, ratio, spread, note string) error {
		line := fmt.Sprintf("  %-*s %8s %8s %8s  %*s  %-14s %s", width, name, median, least, most, column, ratio, spread, note)
		_, err := fmt.Fprintln(w, strings.TrimRight(line, " "))
		return err
	}
	err := row("", "median", "min", "max", over, "range", "")
	for _, c := range r.Contenders {
		over, spread, note := "", "", ""
		switch {
		case c.Missing != "":
			_, lineErr := fmt.Fprintf(w, "  %-*s missing: %s\n", width, c.Name, c.Missing)
			err = errors.Join(err, lineErr)
			continue
		case c.Error != "":
			_, lineErr := fmt.Fprintf(w, "  %-*s FAILED: %s\n", width, c.Name, strings.ReplaceAll(strings.TrimSpace(c.Error), "\n", "; "))
			err = errors.Join(err, lineErr)
			continue
		}
		if c.Ratio != nil {
			over = fmt.Sprintf("%.3f", c.Ratio.Median)
			spread = fmt.Sprintf("%.3f..%.3f", c.Ratio.Min, c.Ratio.Max)
		}
		if c.Target != nil {
			note = c.Target.Limit + ": NOT REACHED"
			if c.Target.Reached {
				note = c.Target.Limit + ": reached"
			}
		}
		err = errors.Join(err, row(c.Name, figure(c.Median), figure(c.Min), figure(c.Max), over, spread, note))
	}
	return err
}

// figure gives v with about four digits.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// count gives how many targets there are, how many of them were reached, and the failures and missing programs.
func (r *report) count() (targets, reached, failed int, missing []string) {
	for _, w := range r.Works {
		for _, c := range w.Contenders {
			if c.Target != nil {
				targets++
				if c.Target.Reached {
					reached++
				}
			}
			if c.Error != "" {
				failed++
			}
			if c.Missing != "" && !slices.Contains(missing, c.Missing) {
				missing = append(missing, c.Missing)
			}
		}
	}
	return targets, reached, failed, missing
}

// save writes r as JSON, whole or not at all.
func (r *report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o666); err != nil {
		return err
	}
	return os.Rename(part, path)
}
