package cli
import ("github.com/spf13/cobra";"errors")
func (a *app) captureCommand() *cobra.Command { return &cobra.Command{Use:"capture"} }
func (a *app) openCaptured(string) (machine, error) { return machine{}, errors.New("x")}
