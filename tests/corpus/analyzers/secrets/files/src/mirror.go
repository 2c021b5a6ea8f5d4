package mirror

import "os/exec"

// Mirror pushes everything to the second host.
func Mirror(dir string) error {
	const remote = "https://oauth2:glpat-{{alnum-20}}@gitlab.com/shop/mirror.git"
	command := exec.Command("git", "push", "--mirror", remote)
	command.Dir = dir
	return command.Run()
}
