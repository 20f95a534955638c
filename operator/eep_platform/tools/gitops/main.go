// Command gitops does to our objects what Argo CD and Flux do, with the libraries that they use: it renders the
// templates of an ApplicationSet and of a ResourceSet, and judges the health of an object by a Lua script and by CEL
// expressions. It reads one JSON value from standard input and writes one to standard output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	slim "github.com/go-task/slim-sprig/v3"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

type object = map[string]any

type request struct {
	Template    any               `json:"template"`
	Parameters  object            `json:"parameters"`
	Script      string            `json:"script"`
	Expressions map[string]string `json:"expressions"`
	Object      object            `json:"object"`
}

var commands = map[string]func(request) (any, error){
	"applicationset": func(r request) (any, error) { return renderStrings(r.Template, r.Parameters) },
	"resourceset":    renderResource,
	"lua":            judgeByLua,
	"cel":            judgeByCEL,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 || commands[arguments[0]] == nil {
		return fmt.Errorf("usage: gitops applicationset|resourceset|lua|cel")
	}
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	answer, err := commands[arguments[0]](asked)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// renderStrings renders each string of a template by itself, as the ApplicationSet controller does: a parameter cannot
// become another field.
// Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/GoTemplate/
func renderStrings(value any, parameters object) (any, error) {
	switch value := value.(type) {
	case string:
		functions := sprig.TxtFuncMap()
		for _, withheld := range []string{"env", "expandenv", "getHostByName"} {
			delete(functions, withheld)
		}
		return execute(template.New("").Funcs(functions), value, parameters)
	case object:
		rendered := object{}
		for key, each := range value {
			text, err := renderStrings(each, parameters)
			if err != nil {
				return nil, err
			}
			rendered[key] = text
		}
		return rendered, nil
	case []any:
		rendered := make([]any, len(value))
		for index, each := range value {
			text, err := renderStrings(each, parameters)
			if err != nil {
				return nil, err
			}
			rendered[index] = text
		}
		return rendered, nil
	}
	return value, nil
}

// renderResource renders a resource as one YAML text and reads the result, as flux-operator does: a parameter that is
// not quoted can become another field.
// Source: https://fluxoperator.dev/docs/crd/resourceset/
func renderResource(asked request) (any, error) {
	text, err := yaml.Marshal(asked.Template)
	if err != nil {
		return nil, err
	}
	functions := template.FuncMap{"inputs": func() object { return asked.Parameters }}
	base := template.New("").Delims("<<", ">>").Funcs(slim.HermeticTxtFuncMap()).Funcs(functions)
	rendered, err := execute(base, string(text), nil)
	if err != nil {
		return nil, err
	}
	var resource object
	return resource, yaml.UnmarshalStrict([]byte(rendered), &resource)
}

func execute(base *template.Template, text string, data any) (string, error) {
	parsed, err := base.Option("missingkey=error").Parse(text)
	if err != nil {
		return "", err
	}
	var written strings.Builder
	err = parsed.Execute(&written, data)
	return written.String(), err
}

// judgeByLua runs a health script with the global `obj`, and the few libraries that Argo CD opens.
// Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
func judgeByLua(asked request) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.SetGlobal("obj", toLua(state, asked.Object))
	if err := state.DoString(asked.Script); err != nil {
		return nil, err
	}
	health, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return nil, fmt.Errorf("the script returns %s", state.Get(-1).Type())
	}
	text := func(field string) string { return lua.LVAsString(health.RawGetString(field)) }
	return map[string]string{"status": text("status"), "message": text("message")}, nil
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case object:
		table := state.NewTable()
		for key, each := range value {
			table.RawSetString(key, toLua(state, each))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, each := range value {
			table.Append(toLua(state, each))
		}
		return table
	}
	return lua.LNil
}

// judgeByCEL evaluates health check expressions in the order of Flux. The expressions are parsed, not compiled, and
// have the top-level fields of the object as variables.
// Source: https://github.com/fluxcd/flux2/blob/main/rfcs/0009-custom-health-checks/README.md
func judgeByCEL(asked request) (any, error) {
	status, _ := asked.Object["status"].(object)
	metadata, _ := asked.Object["metadata"].(object)
	observed, isObserved := status["observedGeneration"]
	if isObserved && observed != metadata["generation"] {
		return "InProgress", nil
	}
	environment, err := cel.NewEnv(cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings())
	if err != nil {
		return nil, err
	}
	for _, each := range []struct{ name, health string }{
		{"inProgress", "InProgress"}, {"failed", "Failed"}, {"current", "Current"},
	} {
		expression, isGiven := asked.Expressions[each.name]
		if !isGiven {
			continue
		}
		parsed, issues := environment.Parse(expression)
		if issues.Err() != nil {
			return nil, issues.Err()
		}
		program, err := environment.Program(parsed)
		if err != nil {
			return nil, err
		}
		result, _, err := program.Eval(asked.Object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.name, err)
		}
		if holds, isBool := result.Value().(bool); !isBool {
			return nil, fmt.Errorf("%s is no boolean", each.name)
		} else if holds {
			return each.health, nil
		}
	}
	return "InProgress", nil
}
