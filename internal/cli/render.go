package cli
import "github.com/spf13/cobra"
func (a *app) renderCommand() *cobra.Command { return &cobra.Command{Use:"render"} }
