// Lists what modules of Go export: a line for each constant, variable, function, method, type and field, sorted. A line
// that is gone, or is another one, can break who uses the module; scripts/api compares. Usage:
//
//	go run scripts/ship/goapi.go PATH=DIRECTORY...
//
// PATH is what the module's packages are called after. Internal packages, commands, tests and generated code (whose
// compatibility is that of the .proto) are left out.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	leftOut   = regexp.MustCompile(`(^|/)(internal|cmd|examples|testdata|bench)(/|$)`)
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	blanks    = regexp.MustCompile(`\s+`)
)

type lister struct {
	fset  *token.FileSet
	name  string
	lines []string
}

func (l *lister) add(format string, args ...any) {
	l.lines = append(l.lines, l.name+": "+fmt.Sprintf(format, args...))
}

// nameless parameters: how they are called does not matter to callers.
func nameless(list *ast.FieldList) {
	if list == nil {
		return
	}
	var fields []*ast.Field
	for _, field := range list.List {
		for range max(1, len(field.Names)) {
			fields = append(fields, &ast.Field{Type: field.Type})
		}
	}
	list.List = fields
}

// text of a node in one line.
func (l *lister) text(node any) string {
	var b strings.Builder
	if n, ok := node.(ast.Node); ok {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				nameless(n.Recv)
			case *ast.FuncType:
				nameless(n.Params)
				nameless(n.Results)
			}
			return true
		})
	}
	if err := printer.Fprint(&b, l.fset, node); err != nil {
		panic(err)
	}
	return strings.TrimSpace(blanks.ReplaceAllString(b.String(), " "))
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	t := f.Recv.List[0].Type
	for {
		switch of := t.(type) {
		case *ast.StarExpr:
			t = of.X
		case *ast.IndexExpr:
			t = of.X
		case *ast.IndexListExpr:
			t = of.X
		case *ast.Ident:
			return of.IsExported()
		default:
			return false
		}
	}
}

func (l *lister) file(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) {
				d.Body, d.Doc = nil, nil
				l.add("%s", l.text(d))
			}
		case *ast.GenDecl:
			l.declared(d)
		}
	}
}

func (l *lister) declared(d *ast.GenDecl) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.ValueSpec:
			for i, name := range s.Names {
				if name.IsExported() {
					l.value(d.Tok, s, i)
				}
			}
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				l.typed(s)
			}
		}
	}
}

// Values of constants may change, their types not.
func (l *lister) value(kind token.Token, s *ast.ValueSpec, i int) {
	switch {
	case s.Type != nil:
		l.add("%s %s %s", kind, s.Names[i].Name, l.text(s.Type))
	case kind == token.VAR && i < len(s.Values):
		l.add("%s %s = %s", kind, s.Names[i].Name, strings.SplitN(l.text(s.Values[i]), "(", 2)[0])
	default:
		l.add("%s %s", kind, s.Names[i].Name)
	}
}

func (l *lister) typed(s *ast.TypeSpec) {
	name := s.Name.Name
	if s.TypeParams != nil {
		var parts []string
		for _, p := range s.TypeParams.List {
			parts = append(parts, l.text(p.Type))
		}
		name += "[" + strings.Join(parts, ", ") + "]"
	}
	alias := ""
	if s.Assign.IsValid() {
		alias = "= "
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		l.add("type %s %sstruct", name, alias)
		for _, field := range t.Fields.List {
			l.field(name, field)
		}
	case *ast.InterfaceType:
		// whoever implements it would lack a method more
		field := *t.Methods
		for _, m := range field.List {
			m.Doc, m.Comment = nil, nil
		}
		l.add("type %s %s%s", name, alias, l.text(t))
	default:
		l.add("type %s %s%s", name, alias, l.text(t))
	}
}

func (l *lister) field(of string, field *ast.Field) {
	kind := l.text(field.Type)
	for _, name := range field.Names {
		if name.IsExported() {
			l.add("type %s struct, %s %s", of, name.Name, kind)
		}
	}
	if len(field.Names) == 0 {
		l.add("type %s struct, embedded %s", of, kind)
	}
}

func (l *lister) folder(path string) error {
	names, err := filepath.Glob(filepath.Join(path, "*.go"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if generated.Match(source) {
			continue
		}
		f, err := parser.ParseFile(l.fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if f.Name.Name != "main" {
			l.file(f)
		}
	}
	return nil
}

// module lists the packages below a folder, but not those of other modules.
func (l *lister) module(path, dir string) error {
	return filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if rel != "." {
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil || leftOut.MatchString(filepath.ToSlash(rel)) {
				return filepath.SkipDir
			}
		}
		l.name = strings.TrimSuffix(path+"/"+filepath.ToSlash(rel), "/.")
		return l.folder(name)
	})
}

func main() {
	l := &lister{fset: token.NewFileSet()}
	for _, arg := range os.Args[1:] {
		path, dir, _ := strings.Cut(arg, "=")
		if err := l.module(path, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	slices.Sort(l.lines)
	for _, line := range slices.Compact(l.lines) {
		fmt.Println(line)
	}
}
