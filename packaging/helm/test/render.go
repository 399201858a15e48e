// Renders the chart without helm, for tests: with the same template engine and functions, as far as this chart uses them.
//
//	render CHART VALUES.yaml [TEMPLATE.yaml…] writes every object, or those of the templates that are named.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type values = map[string]interface{}

// files is what templates know as .Files.
type files string

// Get is empty where there is no such file, as helm's is.
func (chart files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(string(chart), name))
	if err != nil {
		return ""
	}
	return string(text)
}

func main() {
	if len(os.Args) < 3 {
		stop(fmt.Errorf("usage: render CHART VALUES.yaml [TEMPLATE.yaml…]"))
	}
	text, err := render(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		stop(err)
	}
	fmt.Print(text)
}

func stop(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func render(chart, path string, wanted []string) (string, error) {
	about, err := read(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		return "", err
	}
	given, err := read(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return "", err
	}
	override, err := read(path)
	if err != nil {
		return "", err
	}
	if given, err = merged(given, override, ""); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	templates, names, err := parse(chart)
	if err != nil {
		return "", err
	}
	if len(wanted) > 0 {
		names = wanted
	}
	scope := values{
		"Values":  given,
		"Chart":   values{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
		"Release": values{"Name": "plimsoll", "Namespace": "plimsoll", "Service": "Helm"},
		"Files":   files(chart),
	}
	var objects []string
	for _, name := range names {
		var text strings.Builder
		if err := templates.ExecuteTemplate(&text, name, scope); err != nil {
			return "", err
		}
		if object := strings.TrimSpace(text.String()); object != "" {
			objects = append(objects, object+"\n")
		}
	}
	return strings.Join(objects, "---\n"), nil
}

// parse gives the templates, and the names of those that make objects, in order.
func parse(chart string) (*template.Template, []string, error) {
	all := template.New("").Option("missingkey=zero").Funcs(sprig.TxtFuncMap())
	all.Funcs(template.FuncMap{
		"include": func(name string, scope interface{}) (string, error) {
			var text strings.Builder
			err := all.ExecuteTemplate(&text, name, scope)
			return text.String(), err
		},
		"toYaml": func(value interface{}) (string, error) {
			var text strings.Builder
			encoder := yaml.NewEncoder(&text)
			encoder.SetIndent(2)
			err := encoder.Encode(value)
			return strings.TrimSuffix(text.String(), "\n"), err
		},
	})
	var names []string
	paths, err := fs.Glob(os.DirFS(filepath.Join(chart, "templates")), "*")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range paths {
		text, err := os.ReadFile(filepath.Join(chart, "templates", name))
		if err != nil {
			return nil, nil, err
		}
		if _, err := all.New(name).Parse(string(text)); err != nil {
			return nil, nil, err
		}
		if strings.HasSuffix(name, ".yaml") {
			names = append(names, name)
		}
	}
	return all, names, nil
}

// merged has the values of the override where it has any. Helm takes any key; here one that the chart does not have is a mistake.
func merged(given, override values, place string) (values, error) {
	whole := values{}
	for key, value := range given {
		whole[key] = value
	}
	for key, value := range override {
		old, known := whole[key]
		if !known && len(given) > 0 {
			return nil, fmt.Errorf("the chart has no value %s%s", place, key)
		}
		inner, isMap := value.(values)
		outer, wasMap := old.(values)
		if isMap && wasMap {
			both, err := merged(outer, inner, place+key+".")
			if err != nil {
				return nil, err
			}
			value = both
		}
		whole[key] = value
	}
	return whole, nil
}

func read(path string) (values, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := values{}
	if err := yaml.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}
