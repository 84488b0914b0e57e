package s3bucket

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Credentials say who asks. With AccessKeyID and SecretAccessKey it is those.
// With File or Profile it is that profile of that file, in the form of the AWS
// tools. The zero value looks into the environment (AWS_ACCESS_KEY_ID,
// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), then into the standard files
// (~/.aws/credentials and ~/.aws/config, or AWS_SHARED_CREDENTIALS_FILE and
// AWS_CONFIG_FILE, profile AWS_PROFILE), then asks for the role that a
// container or a web identity gives (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,
// AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_WEB_IDENTITY_TOKEN_FILE). What
// expires is asked for again in time.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    Secret
	File            string
	Profile         string
}

// Secret is a text that is never printed, logged or marshaled.
type Secret string

const hidden = "(hidden)"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// roleVariables tell that a role can be asked for.
var roleVariables = []string{
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE",
}

// provider makes sure that there are credentials, so that their absence is not
// found out from the server's refusal.
func (c Credentials) provider() (*credentials.Credentials, error) {
	switch {
	case c.AccessKeyID != "" && c.SecretAccessKey != "":
		return credentials.NewStaticV4(c.AccessKeyID, string(c.SecretAccessKey), string(c.SessionToken)), nil
	case c.AccessKeyID != "" || c.SecretAccessKey != "" || c.SessionToken != "":
		return nil, invalid("credentials need both an access key id and a secret access key")
	case c.File != "" || c.Profile != "":
		return c.fromFile()
	}
	providers := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	for _, name := range roleVariables {
		if os.Getenv(name) != "" {
			providers = append(providers, &credentials.IAM{})
			break
		}
	}
	p := credentials.NewChainCredentials(providers)
	v, err := p.GetWithContext(&credentials.CredContext{Client: http.DefaultClient})
	if err != nil || v.SignerType.IsAnonymous() || v.SecretAccessKey == "" {
		// The chain keeps what its members found wrong to itself.
		return nil, fmt.Errorf("find credentials: no access key with its secret in options, environment and standard files: %w", fs.ErrPermission)
	}
	return p, nil
}

func (c Credentials) fromFile() (*credentials.Credentials, error) {
	p := credentials.NewFileAWSCredentials(c.File, c.Profile)
	v, err := p.GetWithContext(&credentials.CredContext{Client: http.DefaultClient})
	if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
		return p, nil
	}
	where := c.File
	if where == "" {
		where = "the standard files"
	}
	if c.Profile != "" {
		where = fmt.Sprintf("profile %q of %s", c.Profile, where)
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("find credentials in %s: %w", where, path)
	}
	// Other errors may quote the file.
	return nil, fmt.Errorf("find credentials in %s: no access key with its secret can be read: %w", where, fs.ErrPermission)
}
