package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// source is one Go file of this module, whatever its build constraints.
type source struct {
	pkg  string // path below the module, "." for the root
	test bool
	fset *token.FileSet
	file *ast.File
}

func parse(name string, text any) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, 0)
	return source{
		pkg:  filepath.ToSlash(filepath.Dir(name)),
		test: strings.HasSuffix(name, "_test.go"),
		fset: fset,
		file: file,
	}, err
}

func (s source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s: %s", s.fset.Position(n.Pos()), fmt.Sprintf(format, args...))
}

// readModule reads all files below root but testdata and other modules; of
// these it reads the adapter.
func readModule(root string) (all []source, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(name, rel)
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parse(rel, text)
		all = append(all, s)
		return err
	})
	return all, err
}

func skip(dir, rel string) error {
	if rel == "." {
		return nil
	}
	base := filepath.Base(dir)
	if base == "testdata" || base[0] == '.' || base[0] == '_' {
		return filepath.SkipDir
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if err == nil && filepath.ToSlash(rel) != "adapter/dragonboat" {
		return filepath.SkipDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// wrongImports lists the imports that the table forbids.
func (s source) wrongImports() (found []string) {
	for _, spec := range s.file.Imports {
		if wrong := checkImport(s.pkg, pathOf(spec), s.test); wrong != "" {
			found = append(found, s.at(spec, "%s", wrong))
		}
	}
	return found
}

func pathOf(spec *ast.ImportSpec) string {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		panic(err) // the parser accepted it
	}
	return imported
}

// harmless is what may be used of packages that reach files. All else of them
// belongs behind vfs, where a test can make it fail and a crash can cut it.
var harmless = map[string][]string{
	"os": {
		"ErrClosed", "ErrExist", "ErrInvalid", "ErrNotExist", "ErrPermission", "FileInfo", "FileMode",
		"LinkError", "ModeDir", "PathError", "SyscallError", "Getenv", "Getpid", "Hostname", "LookupEnv",
	},
	"path/filepath": {"Abs", "Base", "Clean", "Dir", "Ext", "FromSlash", "IsAbs", "IsLocal", "Join", "Match", "Rel", "Separator", "Split", "ToSlash"},
	"syscall":       {"Errno"}, // and the values of Errno, see fileCalls
	"io/ioutil":     {},
	"os/exec":       {},
}

// fileCalls lists every use of what reaches files.
func (s source) fileCalls() (found []string) {
	imports := map[string]string{} // by the name they have in the file
	for _, spec := range s.file.Imports {
		imported := pathOf(spec)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if _, reaches := harmless[imported]; !reaches {
			continue
		}
		if name == "." {
			found = append(found, s.at(spec, "all names of %s are imported", imported))
		}
		imports[name] = imported
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Obj != nil { // not a name, or a local one that hides the package
			return true
		}
		imported := imports[x.Name]
		if imported == "" || slices.Contains(harmless[imported], sel.Sel.Name) || imported == "syscall" && isErrno(sel.Sel.Name) {
			return true
		}
		found = append(found, s.at(sel, "%s.%s: files are reached through vfs only", x.Name, sel.Sel.Name))
		return true
	})
	return found
}

// isErrno: EIO, ENOSPC, E2BIG.
func isErrno(name string) bool { return name[0] == 'E' && strings.ToUpper(name) == name }

// inits lists init functions: what happens, happens because somebody called.
func (s source) inits() (found []string) {
	for _, d := range s.file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, s.at(fn, "func init"))
		}
	}
	return found
}

// packageVars adds the names of the file's package variables to names.
func (s source) packageVars(names map[string]bool) {
	for _, d := range s.file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				names[id.Name] = id.Name != "_"
			}
		}
	}
}

// assignments lists where a package variable, or an element or field of it, is
// assigned. Types that change inside, such as sync.Pool, are not seen.
func (s source) assignments(vars map[string]bool) (found []string) {
	check := func(target ast.Expr) {
		if id := base(target); id != nil && vars[id.Name] && s.isPackageLevel(id) {
			found = append(found, s.at(target, "package variable %s is changed", id.Name))
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, target := range n.Lhs {
					check(target)
				}
			}
		case *ast.IncDecStmt:
			check(n.X)
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear") && len(n.Args) > 0 {
				check(n.Args[0])
			}
		}
		return true
	})
	return found
}

// base is the variable at the left end of x.f[i].
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isPackageLevel: the parser resolves names within one file, so an unresolved
// one is the package's.
func (s source) isPackageLevel(id *ast.Ident) bool {
	return id.Obj == nil || s.file.Scope.Lookup(id.Name) == id.Obj
}
